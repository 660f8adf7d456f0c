//! How the story is told: a line for each check, and what was found where a check fails.

use std::io::{self, Write};

use http::Response;

/// Prints a line for each check.
pub(super) struct Teller<'o> {
    out: &'o mut dyn Write,
    told: String,
    failed: u32,
}

impl<'o> Teller<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        Self {
            out,
            told: String::new(),
            failed: 0,
        }
    }

    /// How many checks have failed.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    /// Everything that was printed so far.
    pub(super) fn told(&self) -> &str {
        &self.told
    }

    /// Begins a part of the story.
    pub(super) fn part(&mut self, title: &str) -> io::Result<()> {
        self.print(title)
    }

    /// Shows something that stands for itself, a line each.
    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        let mut lines = text.lines();
        lines.try_for_each(|line| self.print(&format!("          {line}")))
    }

    pub(super) fn say(&mut self, what: &str, found: Result<(), String>) -> io::Result<()> {
        match found {
            Ok(()) => self.print(&format!("  ok    {what}")),
            Err(found) => {
                self.failed = self.failed.saturating_add(1);
                self.print(&format!("  FAIL  {what}\n        found: {found}"))
            }
        }
    }

    pub(super) fn expect(
        &mut self,
        what: &str,
        holds: bool,
        found: impl FnOnce() -> String,
    ) -> io::Result<()> {
        self.say(what, if holds { Ok(()) } else { Err(found()) })
    }

    /// A status, and a text that must stand in the head or the body.
    pub(super) fn answer(
        &mut self,
        what: &str,
        answer: &Response<String>,
        status: u16,
        holds: &str,
    ) -> io::Result<()> {
        let text = format!("{:?}\n{}", answer.headers(), answer.body());
        let right = answer.status().as_u16() == status && text.contains(holds);
        self.expect(&format!("{what}: {status}"), right, || {
            format!("{} {text}", answer.status())
        })
    }

    fn print(&mut self, line: &str) -> io::Result<()> {
        self.told.push_str(line);
        self.told.push('\n');
        writeln!(self.out, "{line}")
    }
}
