use std::{collections::BTreeMap, fs};

use super::{
    evidence::{EvidenceError, EvidenceKind, Statement, find},
    hook::HookRequest,
    *,
};
use crate::config::settings::Attesting;

struct Office {
    folder: tempfile::TempDir,
    owner: SecretKey,
}

impl Office {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), owner: SecretKey::random(&mut rand::rng()) }
    }

    fn open(&self) -> Desk {
        Desk::open(&self.folder.path().join("attester"), &self.owner, CommunityId::from([1; 32])).expect("opens")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("attester").join(name)
    }
}

fn key(number: u8) -> PublicKey {
    PublicKey::from([number; 32])
}

const fn stands(_: &PublicKey) -> Fate {
    Fate::Stands
}

fn request(evidence: &str) -> HookRequest {
    HookRequest {
        community: String::new(),
        key: String::new(),
        recovers: None,
        attributes: BTreeMap::new(),
        evidence: evidence.into(),
        subject: None,
    }
}

fn meets(subject: &str) -> Statement<'_> {
    Statement { subject: Some(subject), in_person: true, checked: BTreeMap::new() }
}

fn names(subject: &str) -> Statement<'_> {
    Statement { subject: Some(subject), ..Statement::default() }
}

#[test]
fn nobody_is_attested_with_two_keys_over_restarts_however_the_name_is_written() {
    let office = Office::new();
    let mut desk = office.open();
    let ada = desk.tag("  Ada Lovelace\u{a0}").expect("a subject");
    assert_eq!(desk.check(&ada, &key(1), None, stands).expect("new"), Acquaintance::New);
    desk.note(&ada, &key(1)).expect("noted");

    let desk = office.open();

    let again = desk.tag("ADA LOVELACE").expect("a subject");
    assert_eq!(desk.check(&again, &key(1), None, stands).expect("the same key"), Acquaintance::Renewed);
    assert!(matches!(desk.check(&again, &key(2), None, stands), Err(DeskError::Known(known)) if known == key(1)));
    let other = desk.tag("ada").expect("a subject");
    assert_eq!(desk.check(&other, &key(2), None, stands).expect("somebody else"), Acquaintance::New);
    assert!(matches!(desk.tag(" \t"), Err(DeskError::Subject)));
    assert!(matches!(desk.tag("a\0b"), Err(DeskError::Subject)));
}

#[test]
fn only_the_key_that_was_attested_can_be_recovered() {
    let office = Office::new();
    let mut desk = office.open();
    let (ada, eve) = (desk.tag("ada").expect("a subject"), desk.tag("eve").expect("a subject"));
    desk.note(&ada, &key(1)).expect("noted");

    let lost = key(1);
    assert_eq!(desk.check(&ada, &key(2), Some(&lost), stands).expect("hers"), Acquaintance::Recovering);
    assert!(matches!(desk.check(&eve, &key(3), Some(&lost), stands), Err(DeskError::NotTheirs(_))), "not Eve's");
    assert!(matches!(desk.check(&ada, &key(2), Some(&key(9)), stands), Err(DeskError::NotTheirs(_))));
    desk.note(&ada, &key(2)).expect("noted");
    assert!(matches!(desk.check(&ada, &key(1), None, stands), Err(DeskError::Known(known)) if known == key(2)));
    let vetoed = |of: &PublicKey| if *of == key(2) { Fate::Void } else { Fate::Stands };
    assert_eq!(desk.check(&ada, &key(1), None, vetoed).expect("hers again"), Acquaintance::Renewed);
    let elsewhere = |of: &PublicKey| if *of == key(2) { Fate::Succeeded(key(4)) } else { Fate::Stands };
    assert_eq!(desk.check(&ada, &key(4), None, elsewhere).expect("recovered with others"), Acquaintance::Renewed);
}

#[test]
fn the_files_hold_no_subject_and_another_key_makes_other_tags() {
    let office = Office::new();
    let mut desk = office.open();
    let tag = desk.tag("ada lovelace").expect("a subject");
    desk.note(&tag, &key(1)).expect("noted");
    let code = desk.issue(1, &mut rand::rng()).expect("issued").remove(0);

    let files =
        [fs::read(office.file("clients")).expect("read"), fs::read(office.file("codes")).expect("read")].concat();

    for secret in ["ada", "lovelace", &code.to_text()] {
        assert!(!files.windows(secret.len()).any(|window| window.eq_ignore_ascii_case(secret.as_bytes())));
    }
    let stranger = Office::new().open();
    assert_ne!(stranger.tag("ada lovelace").expect("a subject"), tag);
    assert_eq!(stranger.code(&code), CodeState::Unknown);
}

#[test]
fn a_code_is_spent_for_one_key_over_restarts() {
    let office = Office::new();
    let mut desk = office.open();
    let codes = desk.issue(2, &mut rand::rng()).expect("issued");
    assert_eq!(codes[0].to_text().len(), 26);
    let typed = Code::parse(&format!(" {}-", codes[0].to_text().to_lowercase())).expect("a code");
    assert_eq!(desk.code(&typed), CodeState::Unspent);
    desk.spend(&typed, &key(1)).expect("spent");

    let mut desk = office.open();

    assert_eq!((desk.code(&codes[0]), desk.code(&codes[1])), (CodeState::Spent(key(1)), CodeState::Unspent));
    assert!(desk.spend(&codes[0], &key(2)).is_err());
    desk.spend(&codes[0], &key(1)).expect("an attempt that goes on");
    assert!(Code::parse("ABC").is_err() && Code::parse("").is_err());
}

#[test]
fn a_record_cut_off_by_a_crash_is_dropped_and_one_in_the_middle_is_damage() {
    let office = Office::new();
    let mut desk = office.open();
    let tags = ["ada", "bo", "cy"].map(|subject| desk.tag(subject).expect("a subject"));
    for (number, tag) in (1..).zip(&tags) {
        desk.note(tag, &key(number)).expect("noted");
    }
    drop(desk);
    let whole = fs::read(office.file("clients")).expect("read");
    fs::write(office.file("clients"), &whole[..whole.len() - 3]).expect("torn");

    let mut desk = office.open();
    assert_eq!(desk.check(&tags[2], &key(9), None, stands).expect("never acted on"), Acquaintance::New);
    desk.note(&tags[2], &key(9)).expect("noted");
    drop(desk);
    let mut desk = office.open();
    assert_eq!(desk.check(&tags[2], &key(9), None, stands).expect("there"), Acquaintance::Renewed);
    desk.note(&tags[2], &key(9)).expect("nothing to add");

    let mut changed = fs::read(office.file("clients")).expect("read");
    changed[5] ^= 1;
    fs::write(office.file("clients"), changed).expect("written");
    let refused = Desk::open(&office.folder.path().join("attester"), &office.owner, CommunityId::from([1; 32]));
    assert!(matches!(refused, Err(DeskError::Damaged(_))));
}

#[test]
fn counts_below_the_bound_are_zero_and_survive_restarts() {
    let office = Office::new();
    let mut desk = office.open();
    for _ in 0..3 {
        desk.count(&[(0, 2), (1, 1)]).expect("counted");
    }
    desk.count(&[(0, 1), (0, 0), (9, 1), (1, 1_000_000)]).expect("what is no value is not counted");

    let desk = office.open();

    assert_eq!(desk.counts(0, 3, 1), [1, 3, 0]);
    assert_eq!(desk.counts(0, 3, 2), [0, 3, 0]);
    assert_eq!(desk.counts(1, 1, 4), [0]);
}

#[test]
fn exactly_one_evidence_admits() {
    let office = Office::new();
    let mut desk = office.open();
    let list = office.folder.path().join("list");
    fs::write(&list, "# members\n Ada Lovelace \nbo\n").expect("written");
    let settings = Attesting { allow_list: Some(list), ..Attesting::default() };
    let code = desk.issue(1, &mut rand::rng()).expect("issued").remove(0);
    let with = |said: &Statement<'_>, text: &str| find(&desk, &settings, said, &request(text), (&key(1), false));
    let kind = |said: &Statement<'_>, text: &str| with(said, text).map(|evidence| evidence.kind);

    assert_eq!(kind(&names("ADA LOVELACE"), "").expect("listed"), EvidenceKind::AllowList);
    assert_eq!(kind(&Statement::default(), &code.to_text()).expect("a code"), EvidenceKind::Code);
    assert_eq!(kind(&names("cy"), &code.to_text()).expect("a code, and a name"), EvidenceKind::Code);
    assert_eq!(kind(&meets("cy"), "").expect("met"), EvidenceKind::InPerson);
    assert!(matches!(kind(&Statement::default(), ""), Err(EvidenceError::None { .. })));
    assert!(matches!(kind(&names("# members"), ""), Err(EvidenceError::None { .. })), "a remark is nobody");
    assert!(matches!(kind(&names("cy"), "AAAAAAAAAAAAAAAAAAAAAAAAAA"), Err(EvidenceError::None { .. })));
    let nobody = Statement { in_person: true, ..Statement::default() };
    assert!(matches!(kind(&nobody, ""), Err(EvidenceError::Nameless)));
    for (said, text) in [(names("bo"), code.to_text()), (meets("bo"), String::new()), (meets("cy"), code.to_text())] {
        assert!(matches!(kind(&said, &text), Err(EvidenceError::Several(_))));
    }
}

#[test]
fn a_spent_code_is_refused_unless_the_attempt_was_interrupted() {
    let office = Office::new();
    let mut desk = office.open();
    let code = desk.issue(1, &mut rand::rng()).expect("issued").remove(0);
    desk.spend(&code, &key(1)).expect("spent");
    let said = Statement::default();
    let asked = request(&code.to_text());
    let found = |key, is_attested| find(&desk, &Attesting::default(), &said, &asked, (&key, is_attested));

    assert!(found(key(1), false).is_ok(), "spent, and the attestation had not left");
    assert!(matches!(found(key(1), true), Err(EvidenceError::Spent)));
    assert!(matches!(found(key(2), false), Err(EvidenceError::Spent)));
}

#[test]
fn attributes_are_attested_only_as_they_were_checked() {
    let office = Office::new();
    let desk = office.open();
    let mut asked = request("");
    asked.attributes.insert("region".into(), "north".into());
    let with = |checked: &[(&str, &str)]| {
        let checked = checked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        find(&desk, &Attesting::default(), &Statement { checked, ..meets("ada") }, &asked, (&key(1), false))
    };

    assert!(with(&[("region", "north")]).is_ok());
    assert!(matches!(with(&[]), Err(EvidenceError::Unchecked { .. })));
    assert!(matches!(with(&[("region", "south")]), Err(EvidenceError::OtherValue { .. })));
    assert!(matches!(with(&[("region", "north"), ("age", "old")]), Err(EvidenceError::OtherValue { .. })));
}
