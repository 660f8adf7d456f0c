//! `demo --check`: the whole story, with the rolling change of everything under load.

use crate::folder::Folder;

#[test]
fn the_story_is_true_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let files = folder.path().join("demo");
    let ran = folder.run("demo --check --folder", &[files.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.ends_with("\nall good\n"), "{}", ran.out);
    assert!(ran.out.contains("[-]keys waiting for https://127.0.0.1:"));
    let total = ran
        .out
        .lines()
        .find(|line| line.contains("while all of it changed"));
    let words: Vec<&str> = total.unwrap().split_whitespace().collect();
    assert!(words[1].parse::<u32>().unwrap() > 100, "{words:?}");
    assert!(total.unwrap().ends_with(", 0 failed"), "{words:?}");
    for told in [
        "the same order by plain HTTP through the sidecar, which signs it: 200",
        "a withdrawal: 403",
        "a key that is not pinned: 502",
        "not a request was sent meanwhile",
        "another key that orders are signed with",
        "and has nothing to complain of",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert!(!files.exists());
}
