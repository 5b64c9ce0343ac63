//! A node that is flooded over real sockets: whoever floods it is refused or cut off, and who is honest gets answers.
//!
//! Nothing here depends on how fast the machine is; the times are those that the node itself waits.

mod connections;
mod frames;
mod messages;
