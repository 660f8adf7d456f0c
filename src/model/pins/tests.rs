//! What is a pin, what is a set of them, and what is refused.
