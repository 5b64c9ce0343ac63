//! A small internet in network namespaces: two halves of a public network, and homes behind routers that masquerade.
//!
//! ```text
//!   o1  o2  relay  router 1 ── home 1        o3  o4  router 2 ── home 2
//!    └───┴────┴──────┘                        └───┴────┘
//!       half a  ───────────── cable ─────────── half b
//! ```

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Namespaces that are deleted with it.
pub(crate) struct Lab {
    prefix: String,
    names: Vec<String>,
}

/// A half of the public network.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    A,
    B,
}

impl Half {
    const fn bridge(self) -> &'static str {
        match self {
            Self::A => "half-a",
            Self::B => "half-b",
        }
    }
}

impl Lab {
    /// Builds the public network, or says why it cannot, loudly: this needs root and a few tools.
    pub(crate) fn new() -> Option<Self> {
        let missing = ["ip", "tc", "nft"].into_iter().find(|tool| !succeeds(tool, &["-V"]) && !succeeds(tool, &["-v"]));
        let why = missing.map(|tool| format!("the tool {tool} is missing"));
        let mut lab = Self { prefix: format!("chorus-{}", std::process::id()), names: Vec::new() };
        let why = why.or_else(|| {
            let built = lab.try_space("wan");
            (!built).then(|| "no network namespace can be made: root is needed".to_owned())
        });
        if let Some(why) = why {
            // Past the test's capture of what it prints.
            let _ = writeln!(std::io::stderr(), "SKIPPED: communities in network namespaces: {why}");
            return None;
        }
        for half in [Half::A, Half::B] {
            lab.exec("wan", &["ip", "link", "add", half.bridge(), "type", "bridge"]);
            lab.exec("wan", &["ip", "link", "set", half.bridge(), "up"]);
        }
        lab.exec("wan", &["ip", "link", "add", "cable-a", "type", "veth", "peer", "name", "cable-b"]);
        for (end, half) in [("cable-a", Half::A), ("cable-b", Half::B)] {
            lab.exec("wan", &["ip", "link", "set", end, "master", half.bridge(), "up"]);
        }
        Some(lab)
    }

    /// Adds a machine with a public address.
    pub(crate) fn public(&mut self, name: &str, half: Half, address: &str) {
        assert!(self.try_space(name), "a namespace for {name}");
        let wan = self.space("wan");
        let port = format!("to-{name}");
        self.exec(name, &["ip", "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &wan]);
        self.exec("wan", &["ip", "link", "set", &port, "master", half.bridge(), "up"]);
        self.exec(name, &["ip", "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        self.exec(name, &["ip", "link", "set", "eth0", "up"]);
    }

    /// Adds a home behind a router of its own, which lets out and lets nobody in.
    pub(crate) fn home(&mut self, name: &str, half: Half, public: &str, network: &str) {
        // Names of interfaces have fifteen letters at most.
        let router = format!("{name}-gw");
        self.public(&router, half, public);
        assert!(self.try_space(name), "a namespace for {name}");
        let inside = self.space(name);
        self.exec(&router, &["ip", "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", &inside]);
        self.exec(&router, &["ip", "address", "add", &format!("{network}.1/24"), "dev", "lan"]);
        self.exec(&router, &["ip", "link", "set", "lan", "up"]);
        self.exec(&router, &["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        let rules = "table ip home {
            chain out { type nat hook postrouting priority 100; oifname \"eth0\" masquerade; }
            chain through {
                type filter hook forward priority 0; policy drop;
                ct state established,related accept
                iifname \"lan\" accept
            }
        }";
        self.exec(&router, &["nft", rules]);
        self.exec(name, &["ip", "address", "add", &format!("{network}.2/24"), "dev", "eth0"]);
        self.exec(name, &["ip", "link", "set", "eth0", "up"]);
        self.exec(name, &["ip", "route", "add", "default", "via", &format!("{network}.1")]);
    }

    /// Lets a machine send no faster than this.
    pub(crate) fn limit(&self, name: &str, rate: &str) {
        self.exec(name, &["tc", "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "1"]);
        self.exec(name, &["tc", "class", "add", "dev", "eth0", "parent", "1:", "classid", "1:1", "htb", "rate", rate]);
    }

    /// Cuts the cable between the halves, or mends it.
    pub(crate) fn cable(&self, whole: bool) {
        self.exec("wan", &["ip", "link", "set", "cable-a", if whole { "up" } else { "down" }]);
    }

    /// Returns a command that runs on a machine.
    pub(crate) fn command(&self, name: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(name), program]);
        command
    }

    fn space(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn try_space(&mut self, name: &str) -> bool {
        let space = self.space(name);
        if !succeeds("ip", &["netns", "add", &space]) {
            return false;
        }
        self.names.push(space);
        self.exec(name, &["ip", "link", "set", "lo", "up"]);
        true
    }

    fn exec(&self, name: &str, arguments: &[&str]) {
        let output = self.command(name, arguments[0]).args(&arguments[1..]).output().expect("ip runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {arguments:?}: {error}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in &self.names {
            succeeds("ip", &["netns", "delete", space]);
        }
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
