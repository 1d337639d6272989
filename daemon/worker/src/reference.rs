//! What a file of the language may name, for editors and for people: written from the modules themselves.

/// `types`: declarations for the language server; `modules`: documentation as Markdown.
pub fn text(word: &str) -> String {
    if word == "types" {
        return sloth_lua::types::definitions(sloth_modules::MODULES);
    }
    sloth_lua::types::documentation(sloth_modules::MODULES)
}

#[cfg(test)]
mod tests {
    /// `SLOTH_BLESS=1 cargo test -p sloth-worker` writes the files anew.
    #[test]
    fn the_files_in_docs_are_what_the_modules_say() {
        for (word, file) in [("types", "docs/types/sloth.d.luau"), ("modules", "docs/guide/modules.md")] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
            let text = super::text(word);
            if std::env::var_os("SLOTH_BLESS").is_some() {
                std::fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
                std::fs::write(&path, &text).expect("writable");
            }
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(stored == text, "{file} is not current; SLOTH_BLESS=1 cargo test -p sloth-worker writes it");
        }
    }
}
