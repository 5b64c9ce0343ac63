//! Somebody who looks at the page, and a program that asks the JSON interface: one request for each connection, timed from
//! the call to the last byte.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Far longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers, as they were sent.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// From the call to the last byte.
    pub(crate) took: Duration,
}

impl Answer {
    /// Returns the value of the first header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Asks `address` for `path`, showing one header.
///
/// # Errors
///
/// Returns what the system says, and what is no answer.
pub(crate) fn get(address: &str, path: &str, header: &str) -> io::Result<Answer> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let took = began.elapsed();
    let no_answer = || io::Error::new(io::ErrorKind::InvalidData, "that is no answer of HTTP");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(no_answer)?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).map_err(|_| no_answer())?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(no_answer)?;
    Ok(Answer { status, head, body, took })
}

/// Goes in by a link that a node gave out, and returns the header that shows it from then on.
///
/// # Errors
///
/// As [`get`]; and if the link lets nobody in.
pub(crate) fn enter(address: &str, link: &str) -> io::Result<String> {
    let path = link.strip_prefix("http://").and_then(|link| link.strip_prefix(address)).unwrap_or_default();
    let answer = get(address, path, "Accept: text/html")?;
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.ok_or_else(|| io::Error::other(format!("the link answers {}", answer.status)))?;
    Ok(format!("Cookie: {cookie}"))
}
