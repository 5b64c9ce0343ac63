//! The adapters that a community's rounds led to, by the node.

use chorus_protocol::{adapter::report::AdapterValues, id::BlobId};

use super::super::{Failure, client::Client};
use crate::{
    api::view,
    model::{
        peft::{Adapter, Source},
        series,
    },
};

/// An adapter of a series.
pub(super) struct Published {
    /// Its series.
    pub(super) series: view::Series,
    /// What it is called: `adopted`, or the name of a variant.
    pub(super) name: String,
    /// The round of the series that led to it, from 1.
    pub(super) number: u32,
    /// Its id.
    pub(super) id: BlobId,
    /// Its values, in the order of the manifest.
    pub(super) values: Vec<f32>,
}

impl Published {
    /// Fetches the adapter that is in use, or a variant of the latest round that has one of this name.
    pub(super) fn fetch(client: &Client, reference: &str, variant: Option<&str>) -> anyhow::Result<Self> {
        let series = get(client, reference)?;
        let (name, number, id) = match variant {
            None => {
                let adopted = series.adopted.ok_or_else(|| {
                    Failure::Usage("no adapter of this series is in use yet: see `chorus adapter list`".into())
                })?;
                ("adopted".to_owned(), adopted.number, adopted.adapter)
            }
            Some(name) => {
                let rounds = series.rounds.iter().rev();
                let mut found = rounds.filter_map(|round| {
                    let variant = round.variants.iter().find(|variant| variant.name == name)?;
                    Some((name.to_owned(), round.number, variant.adapter))
                });
                found.next().ok_or_else(|| Failure::Usage(no_variant(&series, name)))?
            }
        };
        let values = values(client, &series, id)?;
        Ok(Self { series, name, number, id, values })
    }

    /// Returns the adapter with A written out, and what it is for a note on its origin.
    pub(super) fn to_adapter(&self) -> anyhow::Result<(Adapter, Source)> {
        let adapter = series::adapter(&self.series.manifest, Some(&self.values))?;
        let name = format!("{}, round {}, {}", self.series.manifest.name, self.number, self.name);
        Ok((adapter, Source { name, blake3: self.id.to_string(), share: None }))
    }
}

/// Asks for a series.
pub(super) fn get(client: &Client, reference: &str) -> anyhow::Result<view::Series> {
    client.get(&format!("/adapters/{reference}"))
}

/// Fetches the values of an adapter, and checks that they are what the id says.
pub(super) fn values(client: &Client, series: &view::Series, id: BlobId) -> anyhow::Result<Vec<f32>> {
    let octets = client.octets(&format!("/adapters/{}/values/{id}", series.id))?;
    let damaged = |why: &str| Failure::Answer(std::io::Error::other(format!("the adapter {id}: {why}")));
    if BlobId::of(&octets) != id {
        return Err(damaged("other values than its id says").into());
    }
    let published = AdapterValues::read(&octets, series.id, series.entries);
    let published = published.map_err(|error| damaged(&error.to_string()))?;
    Ok(series::values(&series.manifest, &published))
}

fn no_variant(series: &view::Series, name: &str) -> String {
    let mut names: Vec<&str> =
        series.rounds.iter().flat_map(|round| &round.variants).map(|variant| variant.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "no round of this series has led to an adapter yet: see `chorus adapter list`".to_owned(),
        [..] => format!("there is no variant {name:?}; there are: {}", names.join(", ")),
    }
}
