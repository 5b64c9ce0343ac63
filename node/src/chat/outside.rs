//! A model elsewhere: an endpoint that speaks OpenAI's chat completions.
//!
//! # Security
//!
//! What is said goes to the host that was configured and nowhere else: no redirect is followed, no proxy used, and every
//! answer names the host. The key goes over TLS, or to this machine itself, and into no log or error. An endpoint is a
//! stranger: all that it sends is bounded, in bytes and in time.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    sync::{Arc, mpsc},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use ureq::{
    http::Uri,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use super::{
    ChatError, LONGEST_ANSWER,
    answer::{Ended, Usage},
    provider::{Completion, Manner, Patience},
};
use crate::model::{chat::Message, generate::Sampling};

/// The most bytes of an answer: some hundred times the longest that is asked for.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The most bytes of one line of an answer.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// The most characters of an endpoint's own words in an error.
const MAX_WORDS: usize = 300;

/// How long the connection may take.
const CONNECTING: Duration = Duration::from_secs(15);

/// How long it may say nothing: large models think before they speak.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// How often it is looked at whether anybody still waits.
const LOOK: Duration = Duration::from_millis(100);

/// Tokens of an endpoint's context if nobody says how many.
pub const USUAL_CONTEXT: usize = 8_192;

/// Where the system keeps the certificates that it trusts; `SSL_CERT_FILE` goes before.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// The most bytes of these.
const MAX_CERTIFICATE_BYTES: u64 = 8 * 1024 * 1024;

/// Why an endpoint does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideError {
    /// The address is none.
    #[error("{0:?} is no address of an endpoint: http:// or https://, a host, and the path up to /v1")]
    Address(String),
    /// The key would be readable on the way.
    #[error("the key is not sent to {0} without TLS: use https://")]
    KeyInClear(String),
    /// The system's certificates are not where they usually are.
    #[error("the system's certificates are not found: name their file in SSL_CERT_FILE")]
    NoCertificates,
    /// It cannot be reached, or breaks off.
    #[error("the endpoint at {host} does not answer: {source}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// It refuses.
    #[error("the endpoint at {host} refuses with status {status}: {words}")]
    Refused {
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// What it says, shortened.
        words: String,
    },
    /// Its answer is not understood.
    #[error("the answer of the endpoint at {host} is not understood: {why}")]
    Answer {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
}

/// An endpoint.
pub struct Endpoint {
    agent: ureq::Agent,
    url: String,
    host: String,
    encrypted: bool,
    loopback: bool,
    model: String,
    key: Option<Zeroizing<String>>,
    context: usize,
}

impl core::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).field("model", &self.model).finish_non_exhaustive()
    }
}

/// Returns the host of an endpoint's address, and whether it is encrypted and whether it is on this machine.
pub fn host(url: &str) -> Option<(String, bool, bool)> {
    let uri: Uri = url.parse().ok()?;
    let encrypted = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty() {
        return None;
    }
    let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = bare.parse().ok();
    let loopback = bare == "localhost" || address.is_some_and(|address| address.is_loopback());
    Some((authority.as_str().to_owned(), encrypted, loopback))
}

impl Endpoint {
    /// Returns the endpoint at `url`, which ends before `/chat/completions`, with what it calls its model.
    ///
    /// # Errors
    ///
    /// Returns [`OutsideError::Address`], [`OutsideError::KeyInClear`] or [`OutsideError::NoCertificates`].
    pub fn new(url: &str, model: String, key: Option<Zeroizing<String>>, context: usize) -> Result<Self, OutsideError> {
        let (host, encrypted, loopback) = host(url).ok_or_else(|| OutsideError::Address(url.to_owned()))?;
        if key.is_some() && !encrypted && !loopback {
            return Err(OutsideError::KeyInClear(host));
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECTING))
            .timeout_per_read(Some(SILENCE))
            .timeout_global(Some(LONGEST_ANSWER));
        if encrypted {
            config = config.tls_config(trust()?);
        }
        let url = format!("{}/chat/completions", url.trim_end_matches('/'));
        Ok(Self { agent: config.build().into(), url, host, encrypted, loopback, model, key, context })
    }

    /// Returns the host, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns what the endpoint calls its model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns how many tokens prompt and answer may have together.
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Returns what people should know of where their words go.
    pub fn notes(&self) -> Vec<String> {
        let host = &self.host;
        let mut notes = vec![if self.loopback {
            format!(
                "what is said goes to another program on this machine, at {host}: what it does with it, that program knows"
            )
        } else {
            format!("what is said leaves this machine, to {host}")
        }];
        if !self.encrypted && !self.loopback {
            notes.push("it travels unencrypted: whoever is on the way reads it".into());
        }
        notes
    }

    /// Answers a conversation.
    ///
    /// # Errors
    ///
    /// Returns a [`ChatError`].
    pub(super) fn complete(
        &self,
        messages: &[Message],
        manner: &Manner,
        patience: &Patience<'_>,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Completion, ChatError> {
        let (told, heard) = mpsc::sync_channel(64);
        let call = self.call(messages, manner);
        // A thread of its own: reading cannot be broken off, and whoever has gone must not be waited for. It ends with the next
        // byte, or when its time is over.
        let reader = std::thread::Builder::new().name("chat-endpoint".into());
        reader
            .spawn(move || {
                if let Err(error) = call.run(&told) {
                    let _ = told.send(Err(error));
                }
            })
            .map_err(|error| ChatError::Internal(format!("no thread: {error}")))?;
        let mut completion = Completion { text: String::new(), ended: Ended::Stop, usage: None };
        loop {
            patience.check()?;
            match heard.recv_timeout(LOOK) {
                Ok(Ok(Piece::Text(text))) => {
                    on_text(&text);
                    completion.text.push_str(&text);
                }
                Ok(Ok(Piece::Ended(ended))) => completion.ended = ended,
                Ok(Ok(Piece::Usage(usage))) => completion.usage = Some(usage),
                Ok(Ok(Piece::Whole)) => return Ok(completion),
                Ok(Err(error)) => return Err(error.into()),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.wrong("it broke off").into()),
            }
        }
    }

    fn call(&self, messages: &[Message], manner: &Manner) -> Call {
        let (temperature, top_p) = match manner.sampling {
            Sampling::Greedy => (0.0, None),
            Sampling::Random { temperature, top_p } => (temperature, Some(top_p).filter(|top_p| *top_p < 1.0)),
        };
        let body = Asked {
            model: &self.model,
            messages,
            stream: true,
            stream_options: Options { include_usage: true },
            max_tokens: manner.max_tokens,
            temperature,
            top_p,
            seed: manner.seed,
        };
        Call {
            agent: self.agent.clone(),
            url: self.url.clone(),
            host: self.host.clone(),
            key: self.key.clone(),
            body: serde_json::to_vec(&body).expect("a request is plain data"),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> OutsideError {
        OutsideError::Answer { host: self.host.clone(), why: why.into() }
    }
}

/// Trusts whom the system trusts.
fn trust() -> Result<TlsConfig, OutsideError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let files = named.into_iter().chain(CERTIFICATES.map(std::path::PathBuf::from));
    let read = |path: std::path::PathBuf| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_CERTIFICATE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let certificates = files.filter_map(|path| read(path).ok()).find_map(|bytes| {
        let items = parse_pem(&bytes).filter_map(Result::ok);
        let certificates: Vec<_> = items
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        (!certificates.is_empty()).then_some(certificates)
    });
    let roots = RootCerts::new_with_certs(&certificates.ok_or(OutsideError::NoCertificates)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
}

/// What an endpoint is asked.
#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    stream_options: Options,
    max_tokens: usize,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    seed: u64,
}

#[derive(Serialize)]
struct Options {
    include_usage: bool,
}

/// A piece of an answer.
enum Piece {
    Text(String),
    Ended(Ended),
    Usage(Usage),
    /// There is no more.
    Whole,
}

/// What is read of a chunk, or of an answer in one piece.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Counted>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Content>,
    message: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// One request, on its own thread.
struct Call {
    agent: ureq::Agent,
    url: String,
    host: String,
    key: Option<Zeroizing<String>>,
    body: Vec<u8>,
}

type Told = mpsc::SyncSender<Result<Piece, OutsideError>>;

/// Nobody listens any more.
struct Deaf;

impl Call {
    fn run(self, told: &Told) -> Result<(), OutsideError> {
        let unreachable =
            |source: ureq::Error| OutsideError::Unreachable { host: self.host.clone(), source: Box::new(source) };
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        request = request.header("Accept", "text/event-stream");
        if let Some(key) = &self.key {
            let header = Zeroizing::new(format!("Bearer {}", key.as_str()));
            request = request.header("Authorization", header.as_str());
        }
        let mut response = request.send(self.body.as_slice()).map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let body = response.body_mut().with_config().limit(MAX_LINE_BYTES).read_to_vec().unwrap_or_default();
            let (host, status, words) = (self.host.clone(), status.as_u16(), words(&body));
            return Err(OutsideError::Refused { host, status, words });
        }
        let streams = response.body().mime_type().is_some_and(|kind| kind == "text/event-stream");
        let reader = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).reader();
        // Whoever has gone needs no error.
        let heard = if streams { self.stream(reader, told)? } else { self.whole(reader, told)? };
        drop(heard);
        Ok(())
    }

    /// Reads an answer that comes in one piece: some endpoints do not stream.
    fn whole(&self, mut reader: impl io::Read, told: &Told) -> Result<Result<(), Deaf>, OutsideError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| self.wrong(error.to_string()))?;
        let heard = self.pieces(&bytes, told)?;
        Ok(heard.and_then(|()| tell(told, Piece::Whole)))
    }

    /// Reads server-sent events.
    fn stream(&self, reader: impl io::Read, told: &Told) -> Result<Result<(), Deaf>, OutsideError> {
        let mut reader = BufReader::new(reader);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.wrong(error.to_string()))?;
            if read as u64 == MAX_LINE_BYTES {
                return Err(self.wrong("a line without end"));
            }
            if read == 0 {
                return Ok(tell(told, Piece::Whole));
            }
            let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { continue };
            if data == b"[DONE]" {
                return Ok(tell(told, Piece::Whole));
            }
            if let Err(deaf) = self.pieces(data, told)? {
                return Ok(Err(deaf));
            }
        }
    }

    fn pieces(&self, json: &[u8], told: &Told) -> Result<Result<(), Deaf>, OutsideError> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|error| self.wrong(error.to_string()))?;
        if chunk.error.is_some() {
            return Err(self.wrong(words(json)));
        }
        let mut pieces = Vec::new();
        if let Some(choice) = chunk.choices.into_iter().next() {
            let content = choice.delta.or(choice.message).and_then(|content| content.content);
            pieces.extend(content.filter(|text| !text.is_empty()).map(Piece::Text));
            let ended = |reason: String| if reason == "length" { Ended::Length } else { Ended::Stop };
            pieces.extend(choice.finish_reason.map(ended).map(Piece::Ended));
        }
        pieces.extend(chunk.usage.map(|it| {
            Piece::Usage(Usage { prompt_tokens: it.prompt_tokens, completion_tokens: it.completion_tokens })
        }));
        Ok(pieces.into_iter().try_for_each(|piece| tell(told, piece)))
    }

    fn wrong(&self, why: impl Into<String>) -> OutsideError {
        OutsideError::Answer { host: self.host.clone(), why: why.into() }
    }
}

fn tell(told: &Told, piece: Piece) -> Result<(), Deaf> {
    told.send(Ok(piece)).map_err(|_| Deaf)
}

/// Returns an endpoint's own words on what went wrong, shortened.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Object { message: String },
        Text(String),
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    let said = serde_json::from_slice(body).map(|Refusal { error }| match error {
        Said::Object { message } | Said::Text(message) => message,
    });
    let text = said.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
    if text.trim().is_empty() { "it does not say why".into() } else { text }
}

#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;
