//! The specification is that of the code: structures, labels, vectors, and the tests that its promises name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chorus_crypto::domain;
use chorus_protocol::{deliberation::moral_graph::card, ledger, limits};
use chorus_tests::vectors;

/// The pages that make up the specification.
const PAGES: [&str; 6] = [
    "crypto/README.md",
    "protocol/README.md",
    "protocol/src/spec/wire.md",
    "protocol/src/spec/rules.md",
    "protocol/src/spec/threats.md",
    "protocol/src/spec/vectors.md",
];

/// Structures that never leave a machine: journal and write-ahead log, where a newcomer began, votes on a screen.
const LOCAL: [&str; 5] = [
    "protocol/src/journal.rs",
    "protocol/src/log/consensus/record.rs",
    "protocol/src/log/consensus/signer.rs",
    "protocol/src/peer/arriving.rs",
    "crypto/src/ballot/witness.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A structure with a canonical encoding, as the code or the specification has it.
#[derive(Clone, Debug)]
struct Structure {
    /// In the code: the file. In the specification: the qualifier before `::`, or nothing.
    place: String,
    name: String,
    fields: String,
}

/// Returns the sources of both crates with their paths, without the tests at their ends.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    ["crypto/src", "protocol/src"].iter().for_each(|folder| walk(&root().join(folder), &mut found));
    found.sort();
    let text = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a source");
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        (name, text[..end].to_owned())
    };
    found.into_iter().map(text).filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("codec.rs")).collect()
}

/// Splits at commas that stand in no bracket.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in text.replace("=>", "=").chars() {
        match character {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(character);
        }
    }
    parts
        .into_iter()
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|it| !it.is_empty())
        .collect()
}

/// The name of a type in the specification; `bound` with its bracket, if it is a list, bytes or text.
fn type_name(rust: &str, bound: Option<(char, &str)>) -> String {
    let inner = |name: &str| rust.strip_prefix(name).and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = inner("Option<") {
        return format!("{}?", type_name(inner, bound));
    }
    if let Some(inner) = inner("Box<") {
        return type_name(inner, bound);
    }
    match (inner("Vec<"), bound) {
        (Some(_), Some(('{', bound))) => return format!("bytes[{bound}]"),
        (Some(inner), Some((_, bound))) => return format!("{}[{bound}]", type_name(inner, None)),
        _ => {}
    }
    if let ("String", Some((_, bound))) = (rust, bound) {
        return format!("text[{bound}]");
    }
    if let Some(pair) = rust.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        let parts: Vec<_> = parts(pair).iter().map(|part| type_name(part, None)).collect();
        return format!("({})", parts.join(", "));
    }
    let name = if rust == "[u8; 32]" { "Digest" } else { rust };
    if name.contains('<') { name.to_owned() } else { name.rsplit("::").next().unwrap_or(name).to_owned() }
}

/// Returns the body of a declaration such as `struct Name {`, from a source.
fn declaration<'a>(source: &'a str, kind: &str, name: &str) -> Option<&'a str> {
    let at = source.find(&format!("{kind} {name} {{"))?;
    let body = source[at..].split_once('{')?.1;
    Some(&body[..body.find("\n}").or_else(|| body.find('}'))?])
}

/// Returns the members of a declaration: `name: type`, or `Variant(type)`.
fn members(body: &str) -> BTreeMap<String, String> {
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.starts_with("//"));
    let text = lines.collect::<Vec<_>>().join(" ");
    let member = |part: String| {
        let part = part.rsplit_once("pub ").map_or(part.as_str(), |(_, rest)| rest);
        let part = part.strip_prefix("pub(super) ").or_else(|| part.strip_prefix("pub(crate) ")).unwrap_or(part);
        match part.split_once(": ") {
            Some((name, of)) => (name.to_owned(), of.to_owned()),
            None => {
                let (name, of) = part.split_once('(').unwrap_or((part, ""));
                (name.to_owned(), of.trim_end_matches(')').to_owned())
            }
        }
    };
    parts(&text).into_iter().map(member).collect()
}

/// Returns every structure that `wire_struct!` and `wire_enum!` define.
fn structures_of_the_code() -> Vec<Structure> {
    let sources = sources();
    let find = |path: &str, kind: &str, name: &str| {
        // In the same file, or in one near it.
        let shared = |other: &str| path.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let all = sources.iter().filter_map(|(other, text)| Some((shared(other), declaration(text, kind, name)?)));
        let (_, found) = all.max_by_key(|(shared, _)| *shared).unwrap_or_else(|| panic!("{path}: no {kind} {name}"));
        members(found)
    };
    let mut found = Vec::new();
    for (path, source) in sources.iter().filter(|(path, _)| !LOCAL.contains(&path.as_str())) {
        for (opening, kind) in [("wire_struct!(", "struct"), ("wire_enum!(", "enum")] {
            for rest in source.split(opening).skip(1) {
                let Some((name, rest)) = rest.split_once(" {").filter(|(name, _)| !name.contains('$')) else {
                    continue;
                };
                let body = &rest[..rest.find("});").expect("the end of a definition")];
                let types = find(path, kind, name);
                let fields = match kind {
                    "struct" => parts(body).iter().map(|field| field_of(field, &types)).collect::<Vec<_>>().join(", "),
                    _ => parts(body).iter().map(|field| variant_of(field, &types)).collect::<Vec<_>>().join(" | "),
                };
                found.push(Structure { place: path.clone(), name: name.to_owned(), fields });
            }
        }
    }
    found
}

fn field_of(field: &str, types: &BTreeMap<String, String>) -> String {
    let at = field.find(['[', '{', '(']);
    let (name, bound) = match at {
        Some(at) => {
            let bound = field[at + 1..field.len() - 1].trim_end_matches(" as usize");
            (field[..at].trim(), Some((field[at..].chars().next().expect("a bracket"), bound)))
        }
        None => (field, None),
    };
    let bound = bound.map(|(bracket, bound)| (bracket, bound.replace("limits::", "").replace("reconcile::", "")));
    let of = types.get(name).unwrap_or_else(|| panic!("no field {name} in {types:?}"));
    format!("{name}: {}", type_name(of, bound.as_ref().map(|(bracket, bound)| (*bracket, bound.as_str()))))
}

fn variant_of(variant: &str, types: &BTreeMap<String, String>) -> String {
    let (tag, rest) = variant.split_once(" = ").expect("a tag");
    let name = rest.split('(').next().unwrap_or(rest);
    match types.get(name).map(String::as_str) {
        Some("") | None => format!("{tag} {name}"),
        Some(of) => format!("{tag} {name}({})", type_name(of, None)),
    }
}

/// Returns every structure in a block of the specification that is marked `wire`.
fn structures_of_the_specification() -> Vec<Structure> {
    let mut found: Vec<Structure> = Vec::new();
    for page in PAGES {
        let text = read(page);
        for block in text.split("```wire\n").skip(1) {
            for line in block[..block.find("```").expect("the end of a block")].lines() {
                if let Some((name, fields)) = line.split_once(" = ") {
                    let (place, name) = name.trim().rsplit_once("::").unwrap_or(("", name.trim()));
                    found.push(Structure { place: place.into(), name: name.into(), fields: fields.into() });
                } else if !line.trim().is_empty() {
                    let last = found.last_mut().expect("a line goes on from the one before");
                    last.fields = format!("{} {}", last.fields, line.trim());
                }
            }
        }
    }
    for structure in &mut found {
        // What qualifies a name is for readers.
        let words = structure.fields.split(' ').map(|word| match word.rsplit_once("::") {
            Some((before, name)) => format!("{}{name}", &before[..before.rfind(['(', '<']).map_or(0, |at| at + 1)]),
            None => word.to_owned(),
        });
        structure.fields = words.collect::<Vec<_>>().join(" ");
    }
    found
}

#[test]
fn every_structure_of_the_code_is_specified_field_by_field() {
    let specified = structures_of_the_specification();
    let mut used = BTreeSet::new();
    for code in structures_of_the_code() {
        let fits = |spec: &&(usize, &Structure)| {
            let place = spec.1.place.as_str();
            spec.1.name == code.name
                && (place.is_empty()
                    || code.place.contains(&format!("/{place}/"))
                    || code.place.ends_with(&format!("/{place}.rs")))
        };
        let all: Vec<_> = specified.iter().enumerate().collect();
        let mut candidates: Vec<_> = all.iter().filter(fits).collect();
        // A qualified name goes before a plain one.
        candidates.sort_by_key(|(_, spec)| core::cmp::Reverse(spec.place.len()));
        let (index, spec) = candidates.first().unwrap_or_else(|| panic!("{} of {}", code.name, code.place));
        assert_eq!(spec.fields, code.fields, "{} of {}", code.name, code.place);
        used.insert(*index);
    }
    // What is left is written by hand in the code; it must at least be there.
    let by_hand: BTreeSet<String> = sources().iter().flat_map(|(_, text)| encoded_by_hand(text)).collect();
    for (_, spec) in specified.iter().enumerate().filter(|(index, _)| !used.contains(index)) {
        let is_there = by_hand.contains(&spec.name) || IN_MACROS.contains(&spec.name.as_str());
        assert!(is_there, "nothing in the code is called {}", spec.name);
    }
    let names: BTreeSet<_> = specified.iter().map(|spec| spec.name.clone()).collect();
    let left: Vec<_> = by_hand.difference(&names).filter(|name| !IN_WORDS.contains(&name.as_str())).collect();
    assert!(left.is_empty(), "not specified: {left:?}");
}

/// Encoded by hand, and told in words: the state and its parts, what the table of types lists; and what is local.
const IN_WORDS: [&str; 14] = [
    "Judged",
    "Ledger",
    "Person",
    "Registry",
    "OpenClass",
    "Opening",
    "Pass",
    "Point",
    "Leaf",
    "Tag",
    "PublicKey",
    "SealPublic",
    "Signature",
    "Height",
];

/// Defined by macros of their own, which this does not read.
const IN_MACROS: [&str; 4] = ["BallotContent", "DeltaContent", "MaskPart", "OpenedStep"];

fn encoded_by_hand(source: &str) -> Vec<String> {
    let named = |line: &str| {
        let rest = line.strip_prefix("impl")?.split_once("Encode for ")?.1;
        Some(rest.split(['<', ' ']).next().unwrap_or(rest).to_owned())
    };
    source.lines().filter_map(named).collect()
}

#[test]
fn every_label_and_every_item_of_a_transcript_is_specified() {
    let pages: String = PAGES.iter().map(|page| read(page)).collect();
    for label in domain::ALL {
        let short = label.as_str().strip_prefix("chorus/v1/").expect("the prefix of all labels");
        assert!(pages.contains(&format!("`{short}`")), "the label {short} is not specified");
    }
    let transcript = read("crypto/src/transcript.rs");
    let items = transcript.split(" = b\"").skip(1).map(|rest| &rest[..rest.find('"').expect("the end of a label")]);
    for item in items {
        assert!(pages.contains(&format!("`{item}`")), "the item {item} is not specified");
    }
}

#[test]
fn every_vector_is_listed_and_every_listed_vector_is_there() {
    let page = read("protocol/src/spec/vectors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name));
    let listed: BTreeSet<&str> = rows.collect();
    let there: BTreeSet<&str> = vectors::names().collect();

    assert_eq!(listed, there);
}

/// Asserts that every row of the table under `header` names tests in its last cell, and that these exist.
fn assert_names_tests(page: &str, header: &str, at_least: usize) {
    let text = read(page);
    let (_, table) = text.split_once(header).unwrap_or_else(|| panic!("{page}: no table {header}"));
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let (about, tests) = row.trim_matches('|').rsplit_once(" | ").expect("cells");
        if tests.trim().is_empty() && about.trim().starts_with("**") {
            continue;
        }
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{page}: no test behind{about}");
        named.into_iter().for_each(assert_is_test);
        rows += 1;
    }
    assert!(rows >= at_least, "{page}: {rows} rows under {header}");
}

fn assert_is_test(test: &str) {
    let (file, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test} names no test"));
    let (first, rest) = file.split_once('/').unwrap_or_else(|| panic!("{test} names no file"));
    let path = match first {
        "crypto" | "protocol" | "node" => format!("{first}/src/{rest}.rs"),
        _ => format!("tests/{file}.rs"),
    };
    let source = read(&path);
    let at = source.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{path}: there is no test {name}"));
    let before = source[..at].trim_end().trim_end_matches("async");
    let is_test = source[..at].contains("proptest!") || before.trim_end().ends_with(']');
    assert!(is_test, "{path}: {name} is no test");
}

#[test]
fn every_promise_fault_and_weakness_names_tests_that_exist() {
    assert_names_tests("protocol/src/spec/threats.md", "| promise | tests |", 30);
    assert_names_tests("tests/README.md", "| fault | what is seen | tests |", 15);
    assert_names_tests("tests/README.md", "| weakness | what is seen | tests |", 10);
}

/// Bounds of what a node holds and asks for, which are its own affair.
const OF_A_NODE: [&str; 10] = [
    "MAX_BARRED_ROUNDS",
    "RECENT_DECISIONS",
    "MAX_POOL",
    "MAX_POOL_PER_OFFICE",
    "MAX_POOL_PER_MEMBER",
    "MAX_ASKED_AT_ONCE",
    "MAX_UNSPOKEN",
    "MAX_PENDING",
    "MAX_PENDING_BYTES",
    "MAX_HELD_BYTES",
];

/// Returns name and value, if a line of the specification is the row of a bound.
fn bound_of_row(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let is_bound = name.starts_with("MAX_") || name.starts_with("MIN_");
    Some((name, rest.split_once(" |")?.0.parse().ok()?)).filter(|_| is_bound)
}

#[test]
fn every_bound_is_that_of_the_code() {
    macro_rules! bounds {
        ($module:ident: $($name:ident)*) => {
            [$((stringify!($name), u64::try_from($module::$name).expect("a small number"))),*]
        };
    }
    let of_limits = bounds![limits:
        MAX_OPERATORS MAX_SUBSETS MAX_ATTESTERS MAX_MEMBERS MAX_ITEMS MAX_ROWS MAX_MASKED MAX_BODY_BYTES MAX_BOX_BYTES
        MAX_SHARE_SCALARS MAX_BLOCKS MAX_FUNCTIONALS MAX_CLASSES MAX_ENTRY_BYTES MAX_BATCH_ENTRIES MAX_BATCH_BYTES
        MAX_DECISION_BYTES MAX_LOG_PART MAX_LISTED MAX_BLOB_BYTES MAX_GENESIS_BYTES MAX_STATEMENT_BYTES MAX_TEXT_BYTES
        MAX_NAME_BYTES MAX_REASON_BYTES MAX_PROMPTS MAX_PROMPT_BYTES MAX_ADMISSION_RULES MAX_ATTRIBUTE_VALUES
        MAX_SEED_GROUPS MAX_SEEDS_PER_GROUP MAX_CAPACITIES MAX_TARGETS MAX_ADAPTER_ENTRIES MAX_SEQUENCE MAX_WEIGHT
        MAX_COHORTS MAX_LOG_PART_BYTES MAX_POLLS MAX_PROPOSED MAX_PROPOSALS_PER_MEMBER MAX_ANONYMOUS_PROPOSALS
        MAX_STATED_RULES MAX_WORDS_PER_ITEM MAX_CARD_STATEMENTS MAX_OPEN_ROUNDS MAX_PASSES MAX_ATTEMPTS MAX_SERIES
        MAX_WEIGHINGS MAX_REGISTRATIONS MAX_LEAVES MAX_CANDIDATES_PER_ATTESTER MAX_CANDIDATES_PER_MEMBER MAX_ADMISSION_DEPTH
        MAX_MEMBER_CAPACITY MAX_STOCK MAX_RANK MAX_FRACTION_BITS
    ];
    let of_ledger = bounds![ledger: MAX_STATEMENTS MAX_HEIGHTS_AHEAD MAX_AMENDMENT_BYTES MIN_CHECKPOINT_HEIGHTS];
    let of_cards = bounds![card: MAX_POLICIES MAX_LINE_BYTES MAX_INSTRUCTION_BYTES MAX_STORY_BYTES];
    let code: BTreeMap<&str, u64> = of_limits.into_iter().chain(of_ledger).chain(of_cards).collect();
    let page = read("protocol/src/spec/wire.md");
    let page: BTreeMap<&str, u64> = page.lines().filter_map(bound_of_row).collect();

    assert_eq!(page, code);
    assert_eq!(ledger::MAX_STATE_BYTES, limits::MAX_BLOB_BYTES, "a state is a blob");
    let source = read("protocol/src/limits.rs");
    let mut names = source.lines().filter_map(|line| Some(line.strip_prefix("pub const ")?.split_once(':')?.0));
    let left = names.find(|name| !code.contains_key(name) && !OF_A_NODE.contains(name));
    assert_eq!(left, None, "a bound that is not specified");
}
