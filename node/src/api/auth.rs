//! Who may use the interface: whoever can read the token file, naming the server by its own address.

use std::{fmt, io, net::SocketAddr, path::Path, time::Instant};

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Kind};
use crate::{page::session::Sessions, store::files};

/// The token: 32 random bytes in hexadecimal. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Token(zeroize::Zeroizing<String>);

impl Token {
    /// Draws a new token.
    pub fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(zeroize::Zeroizing::new(data_encoding::HEXLOWER.encode(&bytes)))
    }

    /// Writes the token to a file that its owner alone can read.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        files::replace(path, "token", self.0.as_bytes())
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self(zeroize::Zeroizing::new(std::fs::read_to_string(path)?.trim().to_owned())))
    }

    /// Returns the value of the `Authorization` header that shows the token.
    pub fn header(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(format!("Bearer {}", self.0.as_str()))
    }

    /// Compares in a time that depends on neither: hashes are compared in constant time.
    fn is_shown_by(&self, header: &[u8]) -> bool {
        blake3::hash(self.header().as_bytes()) == blake3::hash(header)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Whom the server lets in.
#[derive(Clone, Debug)]
pub struct Gate {
    token: Token,
    address: SocketAddr,
}

impl Gate {
    /// Returns the gate of a server at `address`.
    pub const fn new(token: Token, address: SocketAddr) -> Self {
        Self { token, address }
    }

    /// Returns the port of the server.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Checks that a request names the server by its own address.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Host`] if it names another host.
    pub fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let own = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{}", self.port()));
        let names = headers.get_all(header::HOST).iter().count();
        if names != 1 || !own.iter().any(|own| own == text(headers, header::HOST)) {
            return Err(ApiError::new(Kind::Host, "this server answers to its loopback address alone"));
        }
        Ok(())
    }

    /// Returns a link to the page, which lets one browser in once.
    pub fn page_link(&self, sessions: &Sessions) -> String {
        format!("http://{}/enter?token={}", self.address, sessions.link(Instant::now()).as_str())
    }

    /// Checks a request's headers.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Host`] if the request names another host, [`Kind::Unauthorized`] without the token.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        self.check_host(headers)?;
        if !self.token.is_shown_by(text(headers, header::AUTHORIZATION).as_bytes()) {
            return Err(ApiError::new(
                Kind::Unauthorized,
                "the token is missing or wrong: it is in the file api.token",
            ));
        }
        Ok(())
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
