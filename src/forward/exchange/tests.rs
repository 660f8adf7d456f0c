//! The judgement of chains, and connections to a server of our own making.
