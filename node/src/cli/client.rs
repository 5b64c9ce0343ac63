//! Asking the running node, by its local interface.

use std::{
    fs,
    io::{self, BufRead as _},
    ops::ControlFlow,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{Failure, Global};
use crate::api::{BASE, auth::Token, error::ErrorBody};

/// What an answer may take beyond the time it was asked to wait.
const GRACE: Duration = Duration::from_secs(60);

/// The most bytes of an answer that is not a bundle: a result of 500 items with their texts fits several times.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// A client of the node that runs with a data directory.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    address: String,
    token: Token,
}

impl Client {
    /// Finds the node: at `--api`, or where it wrote down that it listens.
    pub(super) fn new(global: &Global) -> Result<Self, Failure> {
        let dir = global.data_dir().map_err(|error| Failure::Usage(error.to_string()))?;
        let written = || fs::read_to_string(dir.api_address()).map(|text| text.trim().to_owned());
        let address = global.api.map_or_else(written, |address| Ok(address.to_string()));
        let (Ok(address), Ok(token)) = (address, Token::read(&dir.api_token())) else {
            return Err(Failure::NotRunning);
        };
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Ok(Self { agent: config.into(), address, token })
    }

    /// Asks for something that is known at once.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.get_within(path, Duration::ZERO)
    }

    /// Asks for something that the node may wait for.
    pub(super) fn get_within<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> anyhow::Result<T> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.token.header().as_str());
        let request = request.config().timeout_global(Some(wait + GRACE)).build();
        self.read(request.call())
    }

    /// Asks to do something, which the node may wait for.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        wait: Duration,
    ) -> anyhow::Result<T> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.token.header().as_str());
        let request = request.config().timeout_global(Some(wait + GRACE)).build();
        self.read(request.send_json(body))
    }

    /// Hands over octets, with what is to be done with them in the query.
    pub(super) fn post_octets<T: DeserializeOwned>(
        &self,
        path: &str,
        octets: &[u8],
        wait: Duration,
    ) -> anyhow::Result<T> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.token.header().as_str());
        let request = request.config().timeout_global(Some(wait + GRACE)).build();
        self.read(request.header("Content-Type", "application/octet-stream").send(octets))
    }

    /// Asks for octets: an adapter's values.
    pub(super) fn octets(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.token.header().as_str());
        let request = request.config().timeout_global(Some(GRACE)).build();
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        let octets = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        Ok(octets.map_err(|error| Failure::Answer(io::Error::other(error)))?)
    }

    /// Asks for something that comes in events, and hands each to `on_event` until it has had enough.
    pub(super) fn events<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        mut on_event: impl FnMut(T) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.token.header().as_str());
        let mut response = request.send_json(body).map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        let reader = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).reader();
        for line in io::BufReader::new(reader).lines() {
            let line = line.map_err(Failure::Answer)?;
            let Some(data) = line.strip_prefix("data:") else { continue };
            let event = serde_json::from_str(data).map_err(|error| Failure::Answer(io::Error::other(error)))?;
            if on_event(event)?.is_break() {
                return Ok(());
            }
        }
        Err(Failure::Answer(io::ErrorKind::UnexpectedEof.into()).into())
    }

    /// Returns where the node is asked, and what shows that one may.
    pub(super) fn address_and_token(&self) -> (&str, &Token) {
        (&self.address, &self.token)
    }

    /// Downloads something long, and calls `progress` with the bytes so far and their number.
    pub(super) fn download(
        &self,
        path: &str,
        out: &mut impl io::Write,
        mut progress: impl FnMut(u64, u64),
    ) -> anyhow::Result<u64> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.token.header().as_str());
        let mut response = request.call().map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        let total = response.body().content_length().unwrap_or_default();
        let mut reader = response.body_mut().as_reader();
        let (mut done, mut chunk) = (0, vec![0; 64 * 1024]);
        loop {
            let read = io::Read::read(&mut reader, &mut chunk).map_err(Failure::Answer)?;
            if read == 0 {
                break;
            }
            out.write_all(chunk.get(..read).unwrap_or_default())?;
            done += read as u64;
            progress(done, total);
        }
        if done == total { Ok(done) } else { Err(Failure::Answer(io::ErrorKind::UnexpectedEof.into()).into()) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{BASE}{path}", self.address)
    }

    fn unreachable(&self, error: ureq::Error) -> Failure {
        Failure::Unreachable { address: self.address.clone(), source: Box::new(error) }
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let mut response = answer.map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response));
        }
        Ok(body(&mut response)?)
    }

    fn refusal(&self, response: &mut ureq::http::Response<ureq::Body>) -> anyhow::Error {
        match body::<ErrorBody>(response) {
            Ok(body) => body.error.into(),
            Err(error) => error.into(),
        }
    }
}

/// Returns a query of those that have a value, with everything escaped that means something in one.
pub(super) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' => query.push(byte.into()),
                _ => query.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    query
}

fn body<T: DeserializeOwned>(response: &mut ureq::http::Response<ureq::Body>) -> Result<T, Failure> {
    let json = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_json();
    json.map_err(|error| Failure::Answer(io::Error::other(error)))
}
