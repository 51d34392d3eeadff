//! The values of `rename_all`: the same as serde's, applied as serde applies them to field names in
//! snake_case.

use std::str::FromStr;

/// How Rust names become names on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const CASES: [(&str, Case); 8] = [
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("PascalCase", Case::Pascal),
    ("camelCase", Case::Camel),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
];

impl FromStr for Case {
    /// The error message, which lists the valid values.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = CASES.iter().find(|(name, _)| *name == text);
        found.map(|(_, case)| *case).ok_or_else(|| {
            let names: Vec<_> = CASES.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
            format!("unknown case `\"{text}\"`, expected one of: {}", names.join(", "))
        })
    }
}

impl Case {
    /// Rewrites a snake_case name.
    pub(crate) fn apply(self, name: &str) -> String {
        match self {
            Case::Lower | Case::Snake => name.to_owned(),
            Case::Upper | Case::ScreamingSnake => name.to_uppercase(),
            Case::Kebab => name.replace('_', "-"),
            Case::ScreamingKebab => name.to_uppercase().replace('_', "-"),
            Case::Pascal => capitalised(name.split('_')),
            Case::Camel => {
                let mut words = name.split('_').filter(|word| !word.is_empty());
                let first = words.next().unwrap_or_default().to_owned();
                first + &capitalised(words)
            }
        }
    }
}

fn capitalised<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        joined.push_str(letters.as_str());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_rewrites_a_snake_case_name() {
        for (case, expected) in [
            ("lowercase", "get_user_id"),
            ("UPPERCASE", "GET_USER_ID"),
            ("PascalCase", "GetUserId"),
            ("camelCase", "getUserId"),
            ("snake_case", "get_user_id"),
            ("SCREAMING_SNAKE_CASE", "GET_USER_ID"),
            ("kebab-case", "get-user-id"),
            ("SCREAMING-KEBAB-CASE", "GET-USER-ID"),
        ] {
            let case: Case = case.parse().unwrap();
            assert_eq!(case.apply("get_user_id"), expected);
        }
    }

    #[test]
    fn underscores_at_the_edges_and_other_alphabets_are_no_trouble() {
        assert_eq!(Case::Camel.apply("_unused_x"), "unusedX");
        assert_eq!(Case::Pascal.apply("über__maß_"), "ÜberMaß");
        assert_eq!(Case::Camel.apply("__"), "");
    }

    #[test]
    fn an_unknown_case_is_told_what_was_expected() {
        let message = "Camel".parse::<Case>().unwrap_err();
        assert!(
            message.starts_with("unknown case `\"Camel\"`, expected one of: `\"lowercase\"`, ")
        );
        assert!(message.ends_with("`\"SCREAMING-KEBAB-CASE\"`"));
    }
}
