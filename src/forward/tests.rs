//! Exchanges with a service that behaves, and with one that does not.
