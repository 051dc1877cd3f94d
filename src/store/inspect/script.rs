//! Splitting of SQL scripts into statements.

/// Splits a script of PostgreSQL at its semicolons, outside of quoted text and function bodies. Comments are removed.
pub(super) fn statements(script: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            let length = rest.find('\n').unwrap_or(rest.len());
            rest = &rest[length..];
            continue;
        } else if first == ';' {
            statements.push(std::mem::take(&mut statement));
            rest = &rest[1..];
            continue;
        } else if first == '\'' || first == '"' {
            rest[1..].find(first).map_or(rest.len(), |end| end + 2)
        } else if let Some(tag) = dollar_quote(rest) {
            rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
        } else {
            first.len_utf8()
        };
        statement.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    statements.push(statement);
    statements.retain(|it| !it.trim().is_empty());
    statements.iter().map(|it| it.trim().to_owned()).collect()
}

/// Returns the body of a function between its dollar quotes, exactly as PostgreSQL stores it.
pub(super) fn body(statement: &str) -> Option<&str> {
    let start = statement
        .char_indices()
        .find_map(|(at, _)| dollar_quote(&statement[at..]).map(|tag| (at + tag.len(), tag)));
    let (start, tag) = start?;
    let end = statement[start..].find(tag)?;
    Some(&statement[start..start + end])
}

/// Returns the tag of a dollar quote that starts here: `$$` or `$name$`.
fn dollar_quote(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let length = inner.find('$')?;
    let name = &inner[..length];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_tag = name.chars().all(is_name) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &text[..length + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_split_at_its_semicolons_and_nowhere_else() {
        let script = "-- one; comment
            SELECT ';', \"a;b\", 'it''s;'; -- and another
            CREATE FUNCTION f() AS $$ BEGIN -- kept; as it is
            RETURN ';'; END $$;
            CREATE FUNCTION g() AS $b$ $$;$$ $b$ ; SELECT $1";
        let found = statements(script);
        assert_eq!(found.len(), 4, "{found:#?}");
        assert_eq!(found[0], "SELECT ';', \"a;b\", 'it''s;'");
        assert_eq!(found[3], "SELECT $1");
        let kept = " BEGIN -- kept; as it is\n            RETURN ';'; END ";
        assert_eq!(body(&found[1]), Some(kept));
        assert_eq!(body(&found[2]), Some(" $$;$$ "));
        assert_eq!(body(&found[0]), None);
    }
}
