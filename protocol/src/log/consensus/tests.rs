//! Tests of agreement: the state machine in a virtual network with virtual time, crashes and liars.

mod agreement;
mod malice;
mod network;
mod recovery;
mod wire;
