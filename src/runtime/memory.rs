//! Keeps the memory of this process to itself: no core dump, no debugger of the same user, nothing to read below
//! `/proc/PID`. Never undone while the process lives.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// To be called before anything secret is read. The first rule holds against everybody who is not root, and against core
/// dumps into a program's input, which know no limit of size; the second stays if the first is taken back.
///
/// # Errors
/// The system does not grant it. Then nothing secret should be read.
pub fn keep_private() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn nobody_gets_a_dump() {
        keep_private().unwrap();
        assert!(matches!(
            dumpable_behavior(),
            Ok(DumpableBehavior::NotDumpable)
        ));
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
