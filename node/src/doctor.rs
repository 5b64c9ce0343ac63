//! What may be wrong with a node, looked at from outside: its directory, its machine, and what it says of itself while it
//! runs. Each finding that is amiss says what to do.
//!
//! Nothing is changed. While a node runs, its store and journal are its own: it checked both when it started, and says how
//! they are. Of a node that does not run they are opened and read through.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, TcpListener},
    path::Path,
    time::Duration,
};

use chorus_protocol::message::VERSION;
use libp2p::{Multiaddr, multiaddr::Protocol};
use serde::{Deserialize, Serialize};

use crate::{
    config::{ConfigError, DataDir, settings::Settings},
    driver::copy,
    health::{self, Check, MIN_FREE_BYTES},
    keystore::Keys,
    store::check,
};

/// By how much a clock may be behind the log's, which is that of the operators in the middle.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10);

/// What kind of thing is wrong: the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Configuration, keys, the machine's clock.
    Configuration,
    /// The disk and what is on it.
    Store,
    /// The network.
    Network,
}

/// How something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// As it may be; the advice is worth reading.
    Note,
    /// Not looked at.
    Skipped,
    /// Not as it should be.
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub name: String,
    /// What kind of thing.
    pub area: Area,
    /// How it is.
    pub state: State,
    /// How it is, in words.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(name: &str, area: Area, state: State, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), area, state, detail: detail.into(), advice: None }
    }

    fn ok(name: &str, area: Area, detail: impl Into<String>) -> Self {
        Self::new(name, area, State::Ok, detail)
    }

    fn failed(name: &str, area: Area, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(name, area, State::Failed, detail) }
    }

    fn note(name: &str, area: Area, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(name, area, State::Note, detail) }
    }
}

/// What a running node says of itself: `GET health`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SelfReport {
    /// The version that runs.
    pub version: String,
    /// What makes it ready.
    pub checks: Vec<Check>,
    /// The log's time, in milliseconds since 1970; 0 before the operators have told theirs.
    pub log_millis: u64,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Why an operator's key says nothing, if it does not.
    pub silent: Option<String>,
    /// The minor version of the protocol that it speaks.
    pub minor: u8,
    /// Those that connected nodes speak, each with how many do.
    pub peers: BTreeMap<u8, usize>,
    /// How others come to it.
    pub reach: Reach,
}

/// How others come to a running node, as far as it knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reach {
    /// Whether whoever started it says that it can be called: an operator's node or a relay.
    pub vouched: bool,
    /// Whether it can be called: vouched for, or because somebody has tried.
    pub reachable: bool,
    /// Relays that pass calls on to it.
    pub relays: usize,
    /// Peers with which only relays connect it.
    pub relayed: usize,
}

/// Looks at everything. `running` is what the node says of itself, if one runs; `now_millis` this machine's clock.
pub fn examine(dir: &DataDir, running: Option<&SelfReport>, now_millis: u64) -> Vec<Finding> {
    let (settings, configuration) = configuration(dir);
    let mut findings = vec![configuration, keystore(&dir.keystore()), community(dir), room(dir.root())];
    match running {
        Some(report) => {
            findings.push(version(&report.version));
            findings.extend(report.checks.iter().filter(|check| check.name != "disk").map(from_check));
            findings.extend(report.silent.iter().map(|why| {
                let advice = "`chorus status` says so until it is over";
                Finding::note("key", Area::Store, why, advice)
            }));
            findings.push(clock(report.log_millis, now_millis));
            findings.push(versions(report.minor, &report.peers));
            findings.push(reach(&report.addresses, report.reach));
        }
        None => {
            findings.push(Finding::note(
                "node",
                Area::Network,
                "no node runs here",
                "`chorus run` starts it; what only a running node knows is not looked at",
            ));
            findings.extend(settings.map(|settings| ports(&settings.bearing().listen)));
            findings.extend(kept(&dir.node(), dir.signed().exists()));
        }
    }
    findings
}

/// Returns the area whose exit code tells what is wrong: that of the first failure, configuration before store before
/// network; none if nothing failed.
pub fn verdict(findings: &[Finding]) -> Option<Area> {
    findings.iter().filter(|finding| finding.state == State::Failed).map(|finding| finding.area).min()
}

fn configuration(dir: &DataDir) -> (Option<Settings>, Finding) {
    let (name, area) = ("configuration", Area::Configuration);
    match Settings::read(&dir.settings()) {
        Ok(settings) => {
            let detail = format!("profile {}", settings.profile());
            (Some(settings), Finding::ok(name, area, detail))
        }
        Err(error) => {
            let advice = "mend the file or the variable: `chorus config list` shows all names";
            (None, Finding::failed(name, area, error.to_string(), advice))
        }
    }
}

fn keystore(path: &Path) -> Finding {
    let (name, area) = ("keystore", Area::Configuration);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let advice = "`chorus init` makes new keys; if there were some, bring the file back from a copy";
            return Finding::failed(name, area, format!("{}: {error}", path.display()), advice);
        }
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let advice = format!("`chmod 600 {}`; whoever could read it may have the keys", path.display());
            return Finding::failed(name, area, format!("others may use it: mode {mode:o}"), advice);
        }
    }
    let _ = metadata;
    match Keys::needs_passphrase(path) {
        Ok(true) => Finding::ok(name, area, "for its owner alone, under a passphrase"),
        Ok(false) => {
            let advice = "good for trying things out; otherwise whoever reads the disk has the keys";
            Finding::note(name, area, "for its owner alone, without a passphrase", advice)
        }
        Err(error) => Finding::failed(name, area, error.to_string(), "bring the file back from a copy"),
    }
}

fn community(dir: &DataDir) -> Finding {
    let (name, area) = ("community", Area::Configuration);
    match dir.read_community() {
        Ok(invite) => {
            let detail = format!("{} ({} addresses to call)", invite.genesis.name, invite.addresses.len());
            Finding::ok(name, area, detail)
        }
        Err(error @ ConfigError::NoCommunity(_)) => {
            let advice = "`chorus join INVITE`, or `chorus community create`";
            Finding::failed(name, area, error.to_string(), advice)
        }
        Err(error) => {
            let advice = "`chorus join` with the same invitation writes the file again";
            Finding::failed(name, area, error.to_string(), advice)
        }
    }
}

fn room(path: &Path) -> Finding {
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    match health::free_bytes(path) {
        Some(free) if free >= MIN_FREE_BYTES => {
            Finding::ok("disk", Area::Store, format!("{} MiB free", mebibytes(free)))
        }
        Some(free) => {
            let advice = "make room, or keep fewer bodies: `chorus config set storage.blobs 2GiB`";
            let detail = format!("{} MiB free, {} are needed", mebibytes(free), mebibytes(MIN_FREE_BYTES));
            Finding::failed("disk", Area::Store, detail, advice)
        }
        None => Finding::new("disk", Area::Store, State::Skipped, "the system does not say how much is free"),
    }
}

fn version(running: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if running == own {
        return Finding::ok("version", Area::Configuration, format!("{own} runs"));
    }
    let detail = format!("{running} runs, this is {own}");
    Finding::failed("version", Area::Configuration, detail, "start the node again with the version that is installed")
}

fn from_check(check: &Check) -> Finding {
    let (area, advice) = match check.name.as_str() {
        "turning" => (Area::Store, "start the node again; if it happens again, its log (RUST_LOG=debug) shows where"),
        "connected" => (
            Area::Network,
            "are the others running? Is this machine on line? `chorus run --dial ADDRESS` calls a node that you know",
        ),
        "log" => (Area::Network, "it catches up while the node is connected; if it does not, start the node again"),
        "journal" => {
            (Area::Store, "the node's log says why; never start an operator with an older copy of its journal")
        }
        _ => (Area::Network, "see the node's log"),
    };
    if check.ok {
        Finding::ok(&check.name, area, &check.detail)
    } else {
        Finding::failed(&check.name, area, &check.detail, advice)
    }
}

/// Compares with the log's time. That is never ahead of most operators' clocks, so a clock behind it is wrong; one that is
/// fast cannot be told from a log to which nothing was added.
fn clock(log_millis: u64, now_millis: u64) -> Finding {
    let (name, area) = ("clock", Area::Configuration);
    if log_millis == 0 {
        return Finding::new(name, area, State::Skipped, "the operators have not told their time yet");
    }
    let behind = Duration::from_millis(log_millis.saturating_sub(now_millis));
    if behind > CLOCK_TOLERANCE {
        let detail = format!("{} s behind the log's time", behind.as_secs());
        return Finding::failed(
            name,
            area,
            detail,
            "set the clock, and have it kept right: `timedatectl set-ntp true`",
        );
    }
    Finding::ok(name, area, "not behind the log's time")
}

/// Compares what this node speaks with what its peers do. Another major version is refused before it comes to that.
fn versions(own: u8, peers: &BTreeMap<u8, usize>) -> Finding {
    let (name, area) = ("protocol", Area::Network);
    let mut told: Vec<String> =
        peers.iter().map(|(minor, nodes)| format!("{nodes} of the peers speak {VERSION}.{minor}")).collect();
    told.insert(0, format!("this node speaks {VERSION}.{own}"));
    let detail = told.join(", ");
    let newer = peers.keys().next_back().is_some_and(|minor| *minor > own);
    let older = peers.keys().next().is_some_and(|minor| *minor < own);
    match (newer, older) {
        (true, _) => Finding::note(name, area, detail, "a newer version is about: install it when it suits you"),
        (false, true) => {
            let advice = "neighbouring versions work together; what only the newer one knows waits for the others";
            Finding::note(name, area, detail, advice)
        }
        (false, false) => Finding::ok(name, area, detail),
    }
}

/// From where an address can be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
enum From {
    Machine,
    Network,
    World,
}

fn from(address: &str) -> Option<From> {
    let address = address.parse::<Multiaddr>().ok()?;
    // What a relay passes on says nothing of the node's own address.
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
    let ip = match address.iter().next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => return Some(From::World),
        _ => return None,
    };
    let shared = |ip: std::net::Ipv4Addr| ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    let local = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    Some(match (ip.is_loopback(), local) {
        (true, _) => From::Machine,
        (false, true) => From::Network,
        (false, false) => From::World,
    })
}

/// Which kind of place the node stands at: open to all, behind a router with or without relays, or out of the way.
fn reach(addresses: &[String], reach: Reach) -> Finding {
    let (name, area) = ("reach", Area::Network);
    let widest = addresses.iter().filter_map(|address| from(address)).max();
    let relayed = match reach.relayed {
        0 => String::new(),
        peers => format!("; relays alone connect it with {peers} of its peers, and bodies take no such way"),
    };
    if reach.vouched {
        return vouched(widest, &relayed);
    }
    if reach.reachable {
        return Finding::ok(name, area, format!("open: others have called this node and come through{relayed}"));
    }
    match (reach.relays, widest) {
        (1.., _) => {
            let detail = format!("behind a router that lets nobody in; {} relays pass calls on{relayed}", reach.relays);
            Finding::ok(name, area, detail)
        }
        (0, None) => Finding::note(name, area, "it listens nowhere", "it calls others, and is never called"),
        (0, Some(From::Machine)) => {
            let advice = "nobody else can call this node: `chorus config set network.listen …`";
            Finding::note(name, area, "addresses of this machine alone", advice)
        }
        (0, Some(From::Network | From::World)) => Finding::note(
            name,
            area,
            format!("nobody is known to have called this node and come through, and no relay passes calls on{relayed}"),
            "on one local network that is well, and a participant needs no more. Elsewhere: is an operator or relay connected? \
             `chorus config get network.relay` should say `use`",
        ),
    }
}

/// The place of a node whose owner says that it can be called.
fn vouched(widest: Option<From>, relayed: &str) -> Finding {
    let (name, area) = ("reach", Area::Network);
    let advice = "forward a port, and say so with `chorus config set network.announce ADDRESS`; a port that is forwarded need \
                  not be of the same number";
    match widest {
        Some(From::World) => Finding::ok(name, area, format!("a public address{relayed}")),
        Some(From::Network) => Finding::note(name, area, format!("private addresses alone{relayed}"), advice),
        Some(From::Machine) => {
            let advice = "nobody else can call this node: `chorus config set network.listen …`";
            Finding::note(name, area, "addresses of this machine alone", advice)
        }
        None => Finding::note(name, area, "it listens nowhere", advice),
    }
}

/// Looks whether the ports that are to be listened at are free.
fn ports(listen: &[String]) -> Finding {
    let (name, area) = ("ports", Area::Network);
    let taken: Vec<&String> = listen.iter().filter(|address| is_taken(address)).collect();
    if taken.is_empty() {
        return Finding::ok(name, area, format!("{} to listen at, none taken", listen.len()));
    }
    let detail = format!("taken, or not ours: {}", taken.into_iter().cloned().collect::<Vec<_>>().join(", "));
    let advice =
        "something else listens there, or the address is not of this machine: `chorus config set network.listen …`";
    Finding::failed(name, area, detail, advice)
}

fn is_taken(address: &str) -> bool {
    let Ok(address) = address.parse::<Multiaddr>() else { return true };
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return false,
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind((ip, port)).is_err(),
        Some(Protocol::Udp(port)) => std::net::UdpSocket::bind((ip, port)).is_err(),
        _ => false,
    }
}

/// Reads through all that a node that does not run has written; `signed` says whether its key was used as an operator's.
fn kept(folder: &Path, signed: bool) -> Vec<Finding> {
    let area = Area::Store;
    if !folder.exists() {
        return vec![Finding::new("store", area, State::Skipped, "there is none yet")];
    }
    match check::check(folder) {
        Ok(report) => {
            let missed = signed && folder.join("store").exists();
            let mut findings: Vec<Finding> = report.findings.iter().map(|found| of_part(found, missed)).collect();
            findings.extend(beginning(folder));
            findings
        }
        Err(error) => vec![Finding::failed("store", area, error.to_string(), "may this user read the directory?")],
    }
}

/// Tells what a log lacks that begins at a checkpoint. What is wrong with the store, others tell.
fn beginning(folder: &Path) -> Option<Finding> {
    let after = copy::begins_after(folder).ok().flatten()?;
    let detail = format!("it begins after height {after}, at the checkpoint of an invitation");
    let advice = "nothing is amiss: for a bundle of everything, ask a node that has the whole log";
    Some(Finding::note("log", Area::Store, detail, advice))
}

/// `missed` says whether a journal that is not there was there.
fn of_part(found: &check::Finding, missed: bool) -> Finding {
    let area = Area::Store;
    let name = match found.part {
        check::Part::Journal => "journal",
        check::Part::Store => "store",
        check::Part::Blobs => "bodies",
        check::Part::SetAside => "set aside",
    };
    let advice = found.advice.unwrap_or_default();
    match &found.state {
        check::State::Sound if advice.is_empty() => Finding::ok(name, area, "as it was written"),
        check::State::Sound => Finding::note(name, area, "there is some", advice),
        check::State::Missing if found.part == check::Part::Journal && missed => Finding::failed(
            name,
            area,
            "it is gone, and the key has signed as an operator's",
            "never start an operator without its newest journal: bring it back with `chorus restore`, or follow with \
             --role relay",
        ),
        check::State::Missing => Finding::new(name, area, State::Skipped, "there is none yet"),
        check::State::InUse => {
            let detail = "a node that does not answer here holds it";
            Finding::failed(name, area, detail, "end that process, or name its interface with --api")
        }
        check::State::Damaged { what } => Finding::failed(name, area, what.clone(), advice),
    }
}

#[cfg(test)]
mod tests {
    use chorus_crypto::sign::SecretKey;
    use chorus_protocol::{
        config::{Genesis, Policy},
        registry::policy::Attester,
    };

    use super::*;
    use crate::{
        config::invite::Invite,
        keystore::{Keys, Protection},
        store::{Batch, SledStore, Store as _, Table},
    };

    fn directory() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().join("data"));
        dir.create().expect("made");
        Keys::generate(&mut rand::rng())
            .create(&dir.keystore(), &Protection::Unprotected, &mut rand::rng())
            .expect("keys");
        let key = SecretKey::from_seed(&[3; 32]).public();
        let genesis = Genesis {
            name: "Choir".into(),
            purpose: "To sing".into(),
            operators: vec![key],
            attesters: vec![Attester { key, organisation: String::new() }],
            policy: Policy::default(),
        };
        dir.write_community(&Invite { genesis, addresses: Vec::new(), checkpoint: None }).expect("written");
        (folder, dir)
    }

    fn report() -> SelfReport {
        let checks = ["turning", "connected", "log", "disk", "journal"];
        let checks = checks.map(|name| Check { name: name.into(), ok: true, detail: "well".into() }).to_vec();
        let addresses = vec!["/ip4/203.0.113.7/tcp/4101".into()];
        let reach = Reach { vouched: false, reachable: true, relays: 0, relayed: 0 };
        let (version, peers) = (env!("CARGO_PKG_VERSION").into(), BTreeMap::from([(1, 3)]));
        SelfReport { version, checks, log_millis: 100_000, addresses, silent: None, minor: 1, peers, reach }
    }

    fn failed(findings: &[Finding]) -> Vec<&str> {
        let failed = findings.iter().filter(|finding| finding.state == State::Failed);
        failed
            .map(|finding| {
                assert!(finding.advice.as_ref().is_some_and(|advice| !advice.is_empty()), "{finding:?}");
                finding.name.as_str()
            })
            .collect()
    }

    #[test]
    fn a_node_that_is_well_has_no_failures_running_or_not() {
        let (_folder, dir) = directory();

        let running = examine(&dir, Some(&report()), 95_000);
        let stopped = examine(&dir, None, 0);

        assert_eq!((failed(&running), verdict(&running)), (vec![], None));
        assert_eq!((failed(&stopped), verdict(&stopped)), (vec![], None));
    }

    #[test]
    fn what_is_amiss_is_named_with_what_to_do() {
        let (folder, dir) = directory();
        let examined = |report: SelfReport| examine(&dir, Some(&report), 89_000);

        assert_eq!(failed(&examined(report())), ["clock"]);
        let mut other = report();
        (other.version, other.log_millis, other.checks[1].ok) = ("0.0.1".into(), 0, false);
        let findings = examined(other);
        assert_eq!((failed(&findings), verdict(&findings)), (vec!["version", "connected"], Some(Area::Configuration)));
        fs::write(dir.settings(), "levle = 1").expect("written");
        assert_eq!(failed(&examine(&dir, Some(&report()), 100_000)), ["configuration"]);
        let empty = DataDir::new(folder.path().join("nothing"));
        assert!(failed(&examine(&empty, None, 0)).starts_with(&["keystore", "community"]));
    }

    #[cfg(unix)]
    #[test]
    fn keys_that_others_may_read_are_a_failure() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, dir) = directory();
        fs::set_permissions(dir.keystore(), fs::Permissions::from_mode(0o640)).expect("changed");

        let findings = examine(&dir, None, 0);

        assert_eq!((failed(&findings), verdict(&findings)), (vec!["keystore"], Some(Area::Configuration)));
    }

    #[test]
    fn a_damaged_store_and_a_missing_journal_are_found_while_the_node_is_stopped() {
        let (_folder, dir) = directory();
        let path = dir.node().join("store");
        fs::create_dir_all(&path).expect("made");
        let mut batch = Batch::new();
        batch.put(Table::new("decisions"), b"1", b"one".as_slice());
        SledStore::open(&path).expect("opens").commit(batch).expect("written");

        assert_eq!(verdict(&examine(&dir, None, 0)), None, "a node that only follows makes a new journal");
        fs::write(dir.signed(), b"signed").expect("written");
        let findings = examine(&dir, None, 0);
        assert_eq!((failed(&findings), verdict(&findings)), (vec!["journal"], Some(Area::Store)));
        let held = SledStore::open(&path).expect("opens");
        assert_eq!(failed(&examine(&dir, None, 0)), ["journal", "store"]);
        drop(held);
    }

    #[test]
    fn addresses_tell_from_where_they_can_be_called() {
        assert_eq!(from("/ip4/127.0.0.1/tcp/1"), Some(From::Machine));
        assert_eq!(from("/ip4/192.168.1.4/udp/1/quic-v1"), Some(From::Network));
        assert_eq!(from("/ip4/100.72.0.1/tcp/1"), Some(From::Network));
        assert_eq!(from("/ip6/fd00::1/tcp/1"), Some(From::Network));
        assert_eq!(from("/ip4/203.0.113.7/tcp/1"), Some(From::World));
        assert_eq!(from("/dns4/node.example.org/tcp/1"), Some(From::World));
        assert_eq!(from("/ip4/203.0.113.7/tcp/1/p2p-circuit"), None);
    }

    #[test]
    fn the_place_of_a_node_follows_from_who_has_called_it_and_not_from_its_addresses_alone() {
        let home = vec!["/ip4/192.168.1.4/tcp/4101".to_owned()];
        let public = vec!["/ip4/203.0.113.7/tcp/4101".to_owned()];
        let at = |vouched, reachable, relays| Reach { vouched, reachable, relays, relayed: 0 };
        let state = |addresses: &[String], standing| reach(addresses, standing).state;

        assert_eq!(state(&home, at(false, true, 0)), State::Ok, "a port is open");
        assert_eq!(state(&home, at(false, false, 2)), State::Ok, "relays pass calls on");
        assert_eq!(state(&home, at(false, false, 0)), State::Note);
        assert_eq!(state(&[], at(false, false, 0)), State::Note);
        assert_eq!(state(&public, at(true, true, 0)), State::Ok);
        assert_eq!(state(&home, at(true, true, 0)), State::Note, "an operator behind a router");
        let relayed = reach(&home, Reach { relayed: 2, ..at(false, false, 1) });
        assert!(relayed.detail.contains("2 of its peers"), "{relayed:?}");
    }

    #[test]
    fn the_versions_of_peers_are_compared_with_the_own_one() {
        let state = |peers: &[(u8, usize)]| versions(1, &peers.iter().copied().collect()).state;

        assert_eq!(state(&[(1, 4)]), State::Ok);
        assert_eq!(state(&[]), State::Ok);
        assert_eq!(state(&[(0, 1), (1, 3)]), State::Note);
        let newer = versions(1, &BTreeMap::from([(1, 3), (2, 1)]));
        assert!(newer.advice.is_some_and(|advice| advice.contains("newer")));
    }

    #[test]
    fn a_port_that_is_taken_is_found() {
        let holder = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = format!("/ip4/127.0.0.1/tcp/{}", holder.local_addr().expect("an address").port());

        assert_eq!(ports(&[address]).state, State::Failed);
        assert_eq!(ports(&["/ip4/127.0.0.1/tcp/0".into()]).state, State::Ok);
    }
}
