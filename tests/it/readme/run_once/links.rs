//! Links of the pages for people, which lead to files and headings where the repository is browsed.

use std::path::{Path, PathBuf};

/// Targets of the links in a page: inline, and those of definitions.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    let inline = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    inline.chain(definitions(page).map(|(_, target)| target))
}

/// Link definitions of a page, as label and target.
fn definitions(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// Name of a heading in an address.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches(['#', ' ']).to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.collect::<String>().replace(' ', "-")
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join(".github/CONTRIBUTING.md")];
    let guides = std::fs::read_dir(root.join("src/guide")).unwrap();
    let guides = guides.map(|entry| entry.unwrap().path());
    pages.extend(guides.filter(|path| path.extension().is_some_and(|it| it == "md")));
    pages
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        for target in targets(&page).filter(|it| !it.starts_with("https://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = path.parent().unwrap().join(file);
            let linked = if file.is_empty() { path.clone() } else { linked };
            assert!(linked.exists(), "{target} of {}", path.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&linked).unwrap();
                let found = text.lines().any(|it| it.starts_with('#') && anchor(it) == heading);
                assert!(found, "{target} of {}", path.display());
            }
        }
    }
}

/// In the crate documentation, the definitions of `src/guide/mod.rs` replace those of the pages.
#[test]
fn every_link_of_a_guide_leads_to_a_module_in_the_crate_documentation() {
    let modules = include_str!("../../../../src/guide/mod.rs");
    for path in pages().into_iter().skip(2) {
        let page = std::fs::read_to_string(&path).unwrap();
        for (label, target) in definitions(&page) {
            assert!(
                modules.contains(&format!("\"[{label}]: crate::")),
                "{target} of {}",
                path.display()
            );
        }
        let inline = page.split("](").skip(1);
        assert!(
            inline.clone().all(|it| it.starts_with("https://")),
            "{}: use a label",
            path.display()
        );
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            modules.contains(&format!("\"{name}\"")),
            "{name} is not in the crate documentation"
        );
    }
}

/// The names of tests in the guide are modules, or the beginnings of functions in them.
#[test]
fn every_guarantee_names_tests_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let guide = include_str!("../../../../src/guide/guarantees.md");
    let cells = guide.lines().filter_map(|line| line.split(" | ").nth(1));
    let spans = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let names = spans.filter(|it| it.chars().all(|c| c.is_ascii_lowercase() || "_:…".contains(c)));
    let mut count = 0;
    for name in names {
        count += 1;
        let path = |name: &str| folder.join(name.replace("::", "/"));
        let is_module =
            path(name).with_extension("rs").exists() || path(name).join("mod.rs").exists();
        let in_module = name.rsplit_once("::").is_some_and(|(module, function)| {
            let function = format!("fn {}", function.trim_end_matches('…'));
            let files = [path(module).with_extension("rs"), path(module).join("mod.rs")];
            files
                .iter()
                .any(|it| std::fs::read_to_string(it).is_ok_and(|text| text.contains(&function)))
        });
        assert!(is_module || in_module, "{name}");
    }
    assert!(count > 50, "{count}");
}
