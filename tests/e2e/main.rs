//! Real nodes: sockets, disks and clocks. No test sleeps; each waits for what it expects.

mod community;
