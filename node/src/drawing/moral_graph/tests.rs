use chorus_protocol::deliberation::{
    moral_graph::{CountingRule, MoralVotes, Question, ValuesCard},
    tally::Tally,
};

use super::{layout::Layout, *};

fn card(number: usize, title: &str) -> ValuesCard {
    ValuesCard::new(title, &format!("Do good in way {number}"), &["MOMENTS of doubt"]).expect("a card")
}

/// A graph of cards with these titles and of links that so many found wiser.
fn graph(titles: &[&str], links: &[(usize, usize, u64)]) -> MoralGraph {
    let cards: Vec<ValuesCard> = titles.iter().enumerate().map(|(number, title)| card(number, title)).collect();
    let mut votes = MoralVotes::default();
    cards.iter().for_each(|card| votes.add_card(card.clone()));
    for (from, to, agree) in links {
        let question = Question { from: cards[*from].id(), to: cards[*to].id(), context: "When <asked>".into() };
        assert!(votes.add_answers(question, Tally { agree: *agree, disagree: 1, pass: 0 }));
    }
    MoralGraph::new(&votes, CountingRule::Chorus.into())
}

fn is_apart(layout: &Layout, heights: &[i64]) -> bool {
    let overlaps = |one: usize, other: usize| {
        let ((x, y), (u, v)) = (layout.centres[one], layout.centres[other]);
        (x - u).abs() < BOX_WIDTH && (y - v).abs() < (heights[one] + heights[other]) / 2
    };
    (0..heights.len()).all(|one| (0..one).all(|other| !overlaps(one, other)))
}

#[test]
fn wiser_values_are_further_up_and_no_box_covers_another() {
    let pairs = [(0, 1), (1, 2), (0, 2), (3, 2), (4, 5), (6, 1), (7, 1), (8, 1), (9, 0), (9, 2), (10, 2)];
    let links: Vec<Link> = pairs.into_iter().map(|(from, to)| Link { from, to }).collect();
    let heights: Vec<i64> = (0..12).map(|node| 40 + 18 * (node % 3)).collect();

    let layout = lay_out(&heights, &links);

    assert!(links.iter().all(|link| layout.centres[link.from].1 > layout.centres[link.to].1));
    assert!(is_apart(&layout, &heights), "{layout:?}");
    for (node, (x, y)) in layout.centres.iter().enumerate() {
        assert!((BOX_WIDTH / 2..=layout.width - BOX_WIDTH / 2).contains(x), "{node}");
        assert!((heights[node] / 2..=layout.height - heights[node] / 2).contains(y), "{node}");
    }
    for (link, path) in links.iter().zip(&layout.paths) {
        let (from, to) = (layout.centres[link.from], layout.centres[link.to]);
        assert_eq!(path[0], (from.0, from.1 - heights[link.from] / 2));
        assert_eq!(path[path.len() - 1], (to.0, to.1 + heights[link.to] / 2));
    }
}

#[test]
fn a_cycle_is_drawn_with_its_weakest_link_downwards() {
    let links = [(0, 1), (1, 2), (2, 0)].map(|(from, to)| Link { from, to });

    let layout = lay_out(&[40; 3], &links);

    let height = |node: usize| layout.centres[node].1;
    assert!(height(0) > height(1) && height(1) > height(2));
    let down = &layout.paths[2];
    assert!(down[0].1 < down[down.len() - 1].1, "from 2, at the top, to 0: {down:?}");
}

#[test]
fn the_drawing_is_the_same_every_time_and_says_in_words_what_it_shows() {
    let titles = [
        "Care",
        "Honest <b>help</b> & \"tact\"",
        "A title that is much too long to be written in one box of the drawing by far",
    ];
    let graph = graph(&titles, &[(0, 1, 9), (1, 2, 4)]);

    let svg = moral_graph(&graph);

    assert_eq!(svg, moral_graph(&graph));
    assert!(svg.contains("role=\"img\"") && svg.contains("aria-labelledby") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("Honest &lt;b&gt;help") && !svg.contains("<b>") && !svg.contains("style="));
    assert!(svg.contains("\u{2026}</text>"), "a long title is cut: {svg}");
    assert_eq!(svg.matches("class=\"value\"").count(), 3);
    assert_eq!(svg.matches("class=\"edge\"").count(), 2);
    let sentences = sentences(&graph);
    assert_eq!(
        sentences[0],
        "From \"Care\" to \"Honest <b>help</b> & \"tact\"\" is wiser, say 9 of 10 (1 no, 0 the reverse, 0 unsure). Asked about: \
         When <asked>."
    );
    assert!(sentences.iter().all(|sentence| svg.contains(&escaped(sentence))));
}

#[test]
fn a_line_is_thicker_the_more_people_were_asked_and_an_empty_graph_says_so() {
    let graph = graph(&["A", "B", "C"], &[(0, 1, 3), (1, 2, 12)]);

    let [thick, thin] = [0, 1].map(|at| thickness(strongest_first(&graph)[at]));
    assert!(thick > thin && thick < 1.0 && thin > 0.0);
    assert!(moral_graph(&self::graph(&["A"], &[])).contains("Nobody has found"));
}

#[test]
fn of_very_many_values_the_highest_are_drawn() {
    let titles: Vec<String> = (0..MAX_DRAWN + 30).map(|number| format!("Value {number}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let links: Vec<(usize, usize, u64)> = (1..titles.len()).map(|from| (from, from / 3, 5)).collect();

    let svg = moral_graph(&graph(&titles, &links));

    assert_eq!(svg.matches("class=\"value\"").count(), MAX_DRAWN);
    assert!(svg.contains(&format!("The {MAX_DRAWN} values of the highest rank are drawn.")));
}
