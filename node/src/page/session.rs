//! Who is in: links that let one browser in once, and the sessions that they begin.
//!
//! All of it is in memory: a node that starts again gives out a new link. Only digests of links and session names are
//! kept, so that looking them up tells by its time nothing about them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a link can be used.
pub const LINK_LIFE: Duration = Duration::from_secs(3_600);

/// How long a session that is not used stays.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 3_600);

/// Links that can be used at once; the oldest goes first.
const MAX_LINKS: usize = 16;

/// Sessions at once; the one that rested longest goes first.
const MAX_SESSIONS: usize = 32;

/// 32 random bytes in hexadecimal. Wiped when dropped, never printed.
pub type Secret = zeroize::Zeroizing<String>;

type Digest = [u8; 32];

/// A browser that is in.
#[derive(Clone)]
struct Session {
    /// What every form of the page shows.
    csrf: Secret,
    used: Instant,
}

#[derive(Default)]
struct Known {
    links: BTreeMap<Digest, Instant>,
    sessions: BTreeMap<Digest, Session>,
}

/// Links and sessions.
#[derive(Default)]
pub struct Sessions(Mutex<Known>);

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Makes a link's secret: whoever shows it first, within [`LINK_LIFE`], is in.
    pub fn link(&self, now: Instant) -> Secret {
        let secret = random();
        let mut known = self.known();
        known.links.retain(|_, made| now.duration_since(*made) < LINK_LIFE);
        if known.links.len() >= MAX_LINKS {
            let oldest = known.links.iter().min_by_key(|(_, made)| **made).map(|(digest, _)| *digest);
            oldest.map(|oldest| known.links.remove(&oldest));
        }
        known.links.insert(digest(&secret), now);
        secret
    }

    /// Uses a link up, and returns the name of the session that begins; none if the link is none or was used.
    pub fn enter(&self, secret: &str, now: Instant) -> Option<Secret> {
        let mut known = self.known();
        let made = known.links.remove(&digest(secret))?;
        if now.duration_since(made) >= LINK_LIFE {
            return None;
        }
        known.sessions.retain(|_, session| now.duration_since(session.used) < SESSION_LIFE);
        if known.sessions.len() >= MAX_SESSIONS {
            let idlest = known.sessions.iter().min_by_key(|(_, session)| session.used).map(|(digest, _)| *digest);
            idlest.map(|idlest| known.sessions.remove(&idlest));
        }
        let name = random();
        known.sessions.insert(digest(&name), Session { csrf: random(), used: now });
        Some(name)
    }

    /// Returns what the forms of a session show, if there is such a session.
    pub fn csrf(&self, name: &str, now: Instant) -> Option<Secret> {
        let mut known = self.known();
        let session = known.sessions.get_mut(&digest(name))?;
        if now.duration_since(session.used) >= SESSION_LIFE {
            return None;
        }
        session.used = now;
        Some(session.csrf.clone())
    }

    /// Ends a session.
    pub fn leave(&self, name: &str) {
        self.known().sessions.remove(&digest(name));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // A panic cannot leave the maps half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares in a time that depends on neither: hashes are compared in constant time.
pub fn is_same(a: &str, b: &str) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes())
}

fn random() -> Secret {
    let bytes: [u8; 32] = rand::random();
    zeroize::Zeroizing::new(data_encoding::HEXLOWER.encode(&bytes))
}

fn digest(secret: &str) -> Digest {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_lets_one_browser_in_once_and_for_an_hour() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (link, late) = (sessions.link(now), sessions.link(now));

        let name = sessions.enter(&link, now).expect("a session");

        assert!(sessions.enter(&link, now).is_none());
        assert!(sessions.enter("0000", now).is_none());
        assert!(sessions.enter(&late, now + LINK_LIFE).is_none());
        assert!(sessions.csrf(&name, now).is_some());
        assert!(sessions.csrf(&link, now).is_none());
    }

    #[test]
    fn a_session_ends_when_it_is_left_or_rests_too_long() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let [left, idle, used] = [0; 3].map(|_| sessions.enter(&sessions.link(now), now).expect("a session"));
        let (half, full) = (now + SESSION_LIFE / 2, now + SESSION_LIFE);

        sessions.leave(&left);

        assert!(sessions.csrf(&used, half).is_some());
        assert!(sessions.csrf(&left, now).is_none());
        assert!(sessions.csrf(&idle, full).is_none());
        assert!(sessions.csrf(&used, full).is_some());
    }

    #[test]
    fn neither_links_nor_sessions_pile_up() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        for _ in 0..2 * MAX_SESSIONS {
            let link = sessions.link(now);
            sessions.enter(&link, now).expect("a session");
        }
        (0..2 * MAX_LINKS).for_each(|_| drop(sessions.link(now)));

        let known = sessions.known();
        assert_eq!((known.links.len(), known.sessions.len()), (MAX_LINKS, MAX_SESSIONS));
    }
}
