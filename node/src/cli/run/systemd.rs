//! What a service manager is told: that the node is ready, that it lives, that it stops. Without one, nothing is.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::health::Health;

/// The node is ready.
pub(super) fn ready(node: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("node {node}"))]);
}

/// The node stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Tells the service manager that the node lives, as long as it does and is asked to, twice in the time allowed.
pub(super) async fn watch(health: Health) {
    let mut micros = 0;
    if !sd_notify::watchdog_enabled(false, &mut micros) {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_micros(micros / 2).max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        if health.is_live() {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("the node does not turn: the service manager will start it again");
        }
    }
}
