//! Words that have no place in the repository. Each is written in two halves, or this file would hold it.

/// Places of the machines that files were written on.
const MACHINES: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Us", "ers/"),
    (".car", "go/registry"),
    ("bash_", "jobs"),
];

/// Package mirrors: a build that needs one does not work elsewhere.
const MIRRORS: &[(&str, &str)] = &[
    ("replace-", "with"),
    ("index-", "url"),
    ("artifac", "tory"),
    ("mir", "ror.local"),
    ("CARGO_REGIS", "TRIES_"),
];

/// Who or what typed a line is not part of it.
const AUTHORS: &[(&str, &str)] = &[
    ("co-auth", "ored-by"),
    ("generated", " by ai"),
    ("language ", "model"),
    ("chat", "gpt"),
    ("cla", "ude"),
];

/// Marks of work that is not done.
const LEFT_OVERS: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("place", "holder")];

/// Machine paths, mirrors and authors, in any letter case.
pub fn machines(path: &str, text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let lists = [MACHINES, MIRRORS, AUTHORS];
    let words = lists
        .into_iter()
        .flatten()
        .map(|word| whole(word).to_lowercase());
    words.flat_map(|word| places(path, &text, &word)).collect()
}

/// Marks of work that is not done, as they are written.
pub fn left_overs(path: &str, text: &str) -> Vec<String> {
    let words = LEFT_OVERS.iter().map(whole);
    words.flat_map(|word| places(path, text, &word)).collect()
}

fn whole((first, second): &(&str, &str)) -> String {
    format!("{first}{second}")
}

fn places(path: &str, text: &str, word: &str) -> Vec<String> {
    let found = text.match_indices(word);
    found
        .map(|(at, _)| {
            format!(
                "{path}:{}: holds `{word}`",
                text[..at].matches('\n').count() + 1
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_on_every_word_of_every_list() {
        for word in [MACHINES, MIRRORS, AUTHORS].into_iter().flatten() {
            let upper = format!("a line\nwith {}x", whole(word).to_uppercase());
            let faults = machines("file", &upper);
            assert!(
                faults.iter().any(|fault| fault.starts_with("file:2: ")),
                "{upper}"
            );
        }
        for word in LEFT_OVERS {
            assert_eq!(left_overs("file", &whole(word)).len(), 1);
        }
        assert!(machines("file", "a network/path that works").is_empty());
        assert!(left_overs("file", "todo!()").is_empty());
    }
}
