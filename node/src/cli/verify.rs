//! `chorus verify`: anybody checks everything, with a bundle alone, or with what running nodes hand out.

mod meter;
mod receipt;
mod shown;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use chorus_protocol::{
    audit::{self, Options, Sample, Tree, VerifyError},
    cohort::Origin,
    id::CommunityId,
};
use clap::{Args, ValueEnum};
use rand_core::Rng as _;

use self::{
    meter::{Counted, Meter},
    receipt::Verdict,
};
use super::{
    Failure, Global,
    community::{community_of, invitation},
    output::many,
};
use crate::{
    api::service::Randomness,
    driver::{
        founding,
        remote::{self, Fetched},
    },
};

/// How much is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Level {
    /// Everything: log, registry, every proof, every sum, the result.
    Full,
    /// Everything but what each contribution proves of itself.
    Sums,
    /// As sums, and the proofs of contributions drawn by lot.
    Light,
}

/// What decides on whose proofs the lot falls.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Lot {
    /// `--seed` with this number draws it again.
    seed: u64,
    /// Whether somebody chose the number: whoever knew it could put bad proofs where the lot does not fall.
    chosen: bool,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The audit bundle, as `chorus export` wrote it.
    #[arg(required_unless_present = "peer")]
    bundle: Option<PathBuf>,
    /// Ask running nodes for log and bodies: an invitation, or an address as one names it, and with that --community. It
    /// takes no keys and leaves nothing behind.
    #[arg(long, value_name = "INVITATION|ADDR", conflicts_with = "bundle")]
    peer: Option<String>,
    /// The community whose log it has to be: its id, or an invitation to it. Without, it may be anybody's.
    #[arg(long, value_name = "ID|INVITATION", value_parser = community_of)]
    community: Option<CommunityId>,
    /// Check the cohorts of divided rounds too: a folder with their bundles, each named ID.bundle by its community's id.
    #[arg(long, value_name = "FOLDER", conflicts_with = "peer")]
    cohorts: Option<PathBuf>,
    /// How much to check.
    #[arg(long, default_value = "full")]
    level: Level,
    /// Contributions that are drawn by lot at the level light. Nobody can foresee the lot; --seed draws an earlier one again.
    #[arg(long, value_name = "N", default_value_t = 300)]
    samples: usize,
    /// Look up whether this contribution counts: a receipt, as `chorus receipt --out` writes it.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Tell how far it is, in lines on standard error, wherever that goes.
    #[arg(long)]
    progress: bool,
}

impl Verify {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let kept = self.receipt.as_deref().map(receipt::read).transpose()?;
        let lot = self.lot(global);
        let options = Options { level: self.level(lot), receipt: kept.as_ref().map(|kept| kept.receipt.clone()) };
        let meter = || Meter::new(global.output(), self.progress);
        let tree = match (&self.bundle, &self.peer) {
            (Some(path), _) => read(path, self.cohorts.as_deref(), &options, &meter())?,
            (None, Some(peer)) => self.fetch(peer, &options, &meter())?,
            (None, None) => return Err(Failure::Usage("name a bundle, or a peer".into()).into()),
        };
        if self.community.is_some_and(|community| community != tree.report.community) {
            return Err(VerifyError::OtherCommunity.into());
        }
        let verdict = kept.as_ref().and_then(|kept| Verdict::of(kept, &tree));
        let lot = matches!(self.level, Level::Light).then_some(lot);
        global.output().print(&shown::verified(&tree, lot, verdict.as_ref()), shown::text)?;
        verdict.map_or(Ok(()), |verdict| verdict.outcome())?;
        match tree.unchecked().len() {
            0 => Ok(()),
            _ if self.cohorts.is_none() => Ok(()),
            left => Err(Failure::Unchecked(many(left, "cohort")).into()),
        }
    }

    /// Returns the number that decides a lot.
    fn lot(&self, global: &Global) -> Lot {
        match global.randomness() {
            Randomness::Seed(seed) => Lot { seed, chosen: true },
            Randomness::System => Lot { seed: rand::random(), chosen: false },
        }
    }

    fn level(&self, lot: Lot) -> audit::Level {
        match self.level {
            Level::Full => audit::Level::Full,
            Level::Sums => audit::Level::Sums,
            Level::Light => {
                let mut seed = [0; 32];
                Randomness::Seed(lot.seed).generator("verify", &[]).fill_bytes(&mut seed);
                audit::Level::Light(Sample { count: self.samples, seed })
            }
        }
    }

    /// Fetches the bundle from running nodes, and verifies it.
    fn fetch(&self, peer: &str, options: &Options, meter: &Meter) -> anyhow::Result<Tree> {
        let (genesis, addresses) = super::block_on(self.whom(peer))?;
        let fetching = meter.clone();
        let told = move |fetched| match fetched {
            Fetched::Log(given, said) => fetching.say(format!("fetching the log: height {given} of {said}")),
            Fetched::Bodies(bodies) => fetching.say(format!("fetching bodies: {bodies}")),
        };
        let (mut file, bytes) = super::block_on(async { Ok(remote::fetch(&genesis, addresses, told).await?) })?;
        verify(&mut file, bytes, None, options, meter)
    }

    /// Returns the founding document of the community that is asked, and the addresses of its nodes.
    async fn whom(&self, peer: &str) -> anyhow::Result<(chorus_protocol::config::Genesis, Vec<String>)> {
        if !peer.starts_with('/') {
            let invite = invitation(peer).await?;
            return Ok((invite.genesis.clone(), invite.addresses().collect()));
        }
        let community = self.community.ok_or_else(|| {
            Failure::Usage(
                "an address alone does not say which community: add --community, or give an invitation".into(),
            )
        })?;
        let addresses = vec![peer.to_owned()];
        Ok((founding::ask(community, addresses.clone()).await?, addresses))
    }
}

/// Verifies the bundle in a file, and those of its cohorts in a folder.
fn read(path: &Path, cohorts: Option<&Path>, options: &Options, meter: &Meter) -> anyhow::Result<Tree> {
    let refused = |source| Failure::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(refused)?;
    let bytes = file.metadata().map_err(refused)?.len();
    verify(&mut file, bytes, cohorts, options, meter)
}

fn verify(
    input: &mut impl Read,
    bytes: u64,
    cohorts: Option<&Path>,
    options: &Options,
    meter: &Meter,
) -> anyhow::Result<Tree> {
    meter.begin(bytes);
    let mut input = Counted::new(input, meter);
    if let Some(folder) = cohorts {
        // A folder that is not there is a mistake, a bundle that is not in it is not at hand.
        folder.read_dir().map_err(|source| Failure::File { path: folder.to_owned(), source })?;
    }
    let mut refused = None;
    let mut open = |origin: &Origin| {
        let path = cohorts?.join(format!("{}.bundle", origin.community()));
        match File::open(&path) {
            Ok(file) => Some(Box::new(file) as Box<dyn Read>),
            Err(source) => {
                if source.kind() != io::ErrorKind::NotFound {
                    refused = Some(Failure::File { path, source });
                }
                None
            }
        }
    };
    let tree = audit::verify_tree(&mut input, audit::LEVELS, options, &mut open, &mut |progress| meter.show(progress))?;
    refused.map_or(Ok(tree), |failure| Err(failure.into()))
}
