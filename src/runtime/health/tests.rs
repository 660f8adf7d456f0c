//! The health listener over a socket.
