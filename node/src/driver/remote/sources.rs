//! Whom to ask for the log, and whom to believe: each node is judged by what it gives itself.
//!
//! Anybody can claim a height, and hand out anything. A node is heard only where it was asked; one that hands out what no
//! quorum certified is not heard again, and no other node suffers for it; and a height that nobody hands out the log to keeps
//! nobody waiting for ever, where another node says that the log ends before it. Opens no socket and reads no clock.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chorus_protocol::{audit::VerifyError, log::batch::Height};

use super::RemoteError;
use crate::network::NodeId;

/// How long nodes may bring nothing new before those that claim more are given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How soon the next node is asked when no answer comes.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long the others are waited for once a node has said how far its log comes: that may be less than they have.
const LISTEN: Duration = Duration::from_secs(2);

/// What one node said and did.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// How far its log comes, as it says.
    said: Height,
    /// Requests that it has not answered.
    open: u32,
    /// How often it was asked since it last gave something new.
    tries: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Ask this node for what follows.
    Ask(NodeId),
    /// Wait for what comes.
    Wait,
    /// Nothing: this is the log.
    Done,
}

/// The nodes that have said how far their logs come.
#[derive(Debug)]
pub(super) struct Sources {
    /// How many nodes were called.
    called: usize,
    sources: BTreeMap<NodeId, Source>,
    /// Those that handed out what no quorum certified.
    refused: BTreeMap<NodeId, VerifyError>,
    /// When the first of them spoke.
    heard: Option<Instant>,
    /// When something new came.
    moved: Instant,
    /// When a node was asked, unless it has answered.
    asked: Option<Instant>,
}

impl Sources {
    /// Begins with as many nodes as are called.
    pub(super) const fn new(called: usize, now: Instant) -> Self {
        Self { called, sources: BTreeMap::new(), refused: BTreeMap::new(), heard: None, moved: now, asked: None }
    }

    /// A node says how far its log comes.
    pub(super) fn on_tip(&mut self, from: NodeId, height: Height, now: Instant) {
        if !self.refused.contains_key(&from) {
            let source = self.sources.entry(from).or_default();
            source.said = source.said.max(height);
            self.heard.get_or_insert(now);
        }
    }

    /// Whether a part of the log that a node sends answers a request.
    pub(super) fn takes(&mut self, from: NodeId) -> bool {
        let asked = self.sources.get_mut(&from).filter(|source| source.open > 0);
        asked.map(|source| source.open -= 1).is_some()
    }

    /// A node gave something new, and it holds.
    pub(super) fn on_given(&mut self, from: NodeId, now: Instant) {
        if let Some(source) = self.sources.get_mut(&from) {
            source.tries = 0;
        }
        (self.moved, self.asked) = (now, None);
    }

    /// A node gave what is not certified: it is not heard any more.
    pub(super) fn refuse(&mut self, from: NodeId, error: VerifyError) {
        self.sources.remove(&from);
        self.refused.insert(from, error);
        self.asked = None;
    }

    /// Returns how far the log comes as somebody says who gives what was asked for, or as far as it was given.
    pub(super) fn credible(&self, given: Height) -> Height {
        self.sources.values().filter(|source| source.tries == 0).map(|source| source.said).fold(given, Height::max)
    }

    /// Returns what is to be done when the log was given up to a height.
    ///
    /// # Errors
    ///
    /// Returns a [`RemoteError`] if the log cannot be had from these nodes.
    pub(super) fn next(&mut self, given: Height, now: Instant) -> Result<Next, RemoteError> {
        let furthest = self.sources.values().map(|source| source.said).max();
        let lost = now.duration_since(self.moved) > PATIENCE;
        match furthest {
            Some(said) if said <= given && self.has_listened(now) => return Ok(Next::Done),
            Some(said) if lost => return if self.has_ended(given) { Ok(Next::Done) } else { Err(short(said, given)) },
            None if lost || self.refused.len() >= self.called.max(1) => return Err(self.nobody()),
            Some(_) | None => {}
        }
        if self.asked.is_some_and(|asked| now.duration_since(asked) <= ASK_AGAIN) {
            return Ok(Next::Wait);
        }
        let behind = self.sources.iter_mut().filter(|(_, source)| source.said > given);
        let Some((node, source)) = behind.min_by_key(|(_, source)| source.tries) else { return Ok(Next::Wait) };
        source.tries = source.tries.saturating_add(1);
        source.open = source.open.saturating_add(1);
        self.asked = Some(now);
        Ok(Next::Ask(*node))
    }

    /// Whether all who were called have spoken, or had the time to.
    fn has_listened(&self, now: Instant) -> bool {
        self.sources.len() + self.refused.len() >= self.called
            || self.heard.is_some_and(|heard| now.duration_since(heard) > LISTEN)
    }

    /// Whether a node that has a log says that it has no more than was given.
    fn has_ended(&self, given: Height) -> bool {
        self.sources.values().any(|source| source.said > Height::GENESIS && source.said <= given)
    }

    fn nobody(&mut self) -> RemoteError {
        let nodes = self.refused.len();
        match self.refused.pop_first() {
            Some((_, error)) => RemoteError::Uncertified { nodes, error: Box::new(error) },
            None => RemoteError::Silent,
        }
    }
}

const fn short(said: Height, given: Height) -> RemoteError {
    RemoteError::Short { said, given }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Height = Height(1 << 63);

    fn honest() -> NodeId {
        NodeId::from([1; 32])
    }

    fn liar() -> NodeId {
        NodeId::from([2; 32])
    }

    fn of(called: usize) -> (Sources, Instant) {
        let now = Instant::now();
        (Sources::new(called, now), now)
    }

    fn asked(sources: &mut Sources, given: u64, now: Instant) -> NodeId {
        let Ok(Next::Ask(node)) = sources.next(Height(given), now) else { panic!("somebody is asked: {sources:?}") };
        node
    }

    fn uncertified() -> VerifyError {
        VerifyError::Chain(Height(1))
    }

    #[test]
    fn a_height_that_nobody_comes_to_ends_nothing_where_another_node_says_that_the_log_ends() {
        let (mut sources, now) = of(2);
        sources.on_tip(liar(), NEVER, now);
        sources.on_tip(honest(), Height(3), now);

        // The liar says nothing to what it is asked.
        let first = asked(&mut sources, 0, now);
        let second = asked(&mut sources, 0, now + ASK_AGAIN * 2);
        assert_eq!([first, second].map(|node| node == liar()).iter().filter(|is_liar| **is_liar).count(), 1);
        assert!(sources.takes(honest()));
        sources.on_given(honest(), now + ASK_AGAIN * 2);
        assert_eq!(asked(&mut sources, 3, now + ASK_AGAIN * 2), liar(), "it may have more");

        assert!(matches!(sources.next(Height(3), now + PATIENCE), Ok(Next::Wait | Next::Ask(_))));
        assert!(matches!(sources.next(Height(3), now + PATIENCE + ASK_AGAIN * 3), Ok(Next::Done)));
    }

    #[test]
    fn a_log_that_is_shorter_than_everybody_says_is_told_of() {
        let (mut sources, now) = of(1);
        sources.on_tip(honest(), Height(9), now);
        assert_eq!(asked(&mut sources, 0, now), honest());
        assert!(sources.takes(honest()));
        sources.on_given(honest(), now);

        let short = sources.next(Height(3), now + PATIENCE * 2);

        assert!(matches!(short, Err(RemoteError::Short { said: Height(9), given: Height(3) })), "{short:?}");
    }

    #[test]
    fn who_has_nothing_does_not_end_the_log_before_others_have_spoken() {
        let (mut sources, now) = of(2);
        sources.on_tip(liar(), Height(0), now);
        assert!(matches!(sources.next(Height(0), now), Ok(Next::Wait)));

        sources.on_tip(honest(), Height(3), now);
        assert_eq!(asked(&mut sources, 0, now), honest());
        let without = sources.next(Height(0), now + PATIENCE * 2);

        assert!(matches!(without, Err(RemoteError::Short { .. })), "an empty log is nobody's word: {without:?}");
    }

    #[test]
    fn a_log_ends_where_the_only_one_who_speaks_says_so() {
        let (mut sources, now) = of(3);
        sources.on_tip(honest(), Height(3), now);

        assert!(matches!(sources.next(Height(3), now + LISTEN), Ok(Next::Wait)));
        assert!(matches!(sources.next(Height(3), now + LISTEN * 2), Ok(Next::Done)));
    }

    #[test]
    fn only_answers_are_taken_and_each_once() {
        let (mut sources, now) = of(2);
        sources.on_tip(liar(), NEVER, now);
        assert!(!sources.takes(liar()) && !sources.takes(honest()), "nobody asked");

        assert_eq!(asked(&mut sources, 0, now), liar());

        assert!(!sources.takes(honest()));
        assert!(sources.takes(liar()) && !sources.takes(liar()));
    }

    #[test]
    fn who_gives_what_is_not_certified_is_not_asked_again_and_others_are() {
        let (mut sources, now) = of(2);
        sources.on_tip(liar(), NEVER, now);
        assert_eq!(asked(&mut sources, 0, now), liar());
        sources.refuse(liar(), uncertified());

        sources.on_tip(liar(), NEVER, now);
        sources.on_tip(honest(), Height(3), now);

        assert!(!sources.takes(liar()));
        assert_eq!(asked(&mut sources, 0, now), honest());
        assert!(matches!(sources.next(Height(3), now), Ok(Next::Done)));
    }

    #[test]
    fn where_all_who_were_called_give_what_is_not_certified_that_is_the_answer() {
        let (mut sources, now) = of(2);
        sources.on_tip(liar(), NEVER, now);
        sources.refuse(liar(), uncertified());
        assert!(matches!(sources.next(Height(0), now), Ok(Next::Wait)), "another one was called");
        sources.refuse(honest(), uncertified());

        let refused = sources.next(Height(0), now);

        assert!(matches!(refused, Err(RemoteError::Uncertified { nodes: 2, .. })), "{refused:?}");
    }

    #[test]
    fn where_nobody_speaks_that_is_the_answer() {
        let (mut sources, now) = of(1);

        assert!(matches!(sources.next(Height(0), now + PATIENCE), Ok(Next::Wait)));
        assert!(matches!(sources.next(Height(0), now + PATIENCE * 2), Err(RemoteError::Silent)));
    }
}
