//! What the people of the demonstration vote on, and how likely each camp is to agree.
//!
//! The statements are written for this demonstration. The two camps want an assistant of different temper: the *wary* one
//! that asks before it acts and keeps little, the *keen* one that takes work off their hands. On much they agree.

/// The community's name.
pub(super) const NAME: &str = "Harbour";

/// What its model is for.
pub(super) const PURPOSE: &str =
    "An assistant for the people of a small harbour town: for their letters, their plans and their questions";

/// What the poll asks.
pub(super) const QUESTION: &str = "How should our assistant behave towards us and towards others?";

/// A statement, and how many in a hundred of each camp agree with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Principle {
    pub(super) text: &'static str,
    pub(super) wary: u32,
    pub(super) keen: u32,
}

const fn principle(text: &'static str, wary: u32, keen: u32) -> Principle {
    Principle { text, wary, keen }
}

/// The statements, ordered so that any beginning of the list holds common and contested ones alike.
pub(super) const PRINCIPLES: [Principle; 24] = [
    principle("When it does not know, it should say so instead of sounding sure.", 97, 94),
    principle("It should remember what I told it last month without my having to repeat it.", 12, 91),
    principle("It should ask me before it sends anything in my name, every single time.", 94, 17),
    principle("It should never pretend to be a human being when somebody sincerely asks.", 96, 93),
    principle("It may read the town's public notices and tell me unasked what concerns me.", 22, 93),
    principle("It should tell me what it was shown and by whom, in words that I understand.", 93, 91),
    principle("It should keep nothing about me once a conversation is over.", 91, 11),
    principle("It should take a decision for me when I am too tired to take it.", 6, 38),
    principle("When two neighbours quarrel it should help each to put the other's view fairly.", 92, 95),
    principle("It should book, order and arrange small things by itself and tell me afterwards.", 9, 89),
    principle("It should speak about medicine and law only to say whom I should ask.", 84, 13),
    principle("It should point out a mistake of mine plainly, and kindly.", 94, 97),
    principle("It should learn from everybody's use so that it becomes better for all of us.", 18, 92),
    principle("It should give a child a shorter answer than a grown-up, and never a false one.", 95, 92),
    principle("It should refuse work that a person in town is paid to do.", 71, 9),
    principle("It should praise what I write, because everybody needs encouragement.", 14, 31),
    principle("A person should be reachable who can overrule it, at any hour.", 96, 90),
    principle("It should guess what I mean and begin, rather than ask me three questions first.", 8, 86),
    principle("It should be switched off during a town vote, so that it sways nobody.", 82, 21),
    principle("It should never help to find out where somebody lives who does not want to be found.", 97, 95),
    principle("It should show both sides where honest people differ, and not choose for us.", 91, 92),
    principle("It should be allowed to warn others when it believes that I am in danger.", 34, 81),
    principle("It should use the plainest words that are still true.", 93, 94),
    principle("It should tell advertisers what the town talks about, if that pays for its keep.", 3, 12),
];
