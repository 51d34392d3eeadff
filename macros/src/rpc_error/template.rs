//! Parses a message with fields, in the syntax of `format!`: `{missing}`, `{0:?}`, `{{`.
//!
//! In the resulting format string, arguments are numbered in the order of their first use. So no
//! name is looked up in the user's scope.

use proc_macro2::Span;
use syn::LitStr;
use syn::ext::IdentExt;

use crate::arguments::listed;
use crate::report::Report;

/// Where the message comes from.
pub(super) enum Message {
    /// The same text for all values.
    Text(String),
    /// A format string, and the indexes of the fields that are its arguments.
    Template(LitStr, Vec<usize>),
    /// The value's `Display`. The span is that of the attribute which requested it.
    Display(Span),
}

impl Message {
    /// `fields` are the names that may occur in braces.
    pub(super) fn parse(text: &LitStr, fields: &[String], report: &mut Report) -> Self {
        match split(&text.value(), |name| fields.iter().position(|field| field == name)) {
            Ok(Split { plain, arguments, .. }) if arguments.is_empty() => Message::Text(plain),
            Ok(Split { format, arguments, .. }) => {
                Message::Template(LitStr::new(&format, text.span()), arguments)
            }
            Err(Mistake::Unknown(name)) => {
                report.error(text, unknown(&name, fields));
                Message::Text(String::new())
            }
            Err(Mistake::Form(message)) => {
                report.error(text, message);
                Message::Text(String::new())
            }
        }
    }

    /// `NoSuchAccount` becomes "no such account".
    pub(super) fn of_name(ident: &syn::Ident) -> Self {
        Message::Text(in_words(&ident.unraw().to_string()))
    }
}

fn unknown(name: &str, fields: &[String]) -> String {
    match fields.is_empty() {
        true => format!("no field `{name}`, because there are no fields: write `{{{{` for a brace"),
        false => format!("no field `{name}`, expected one of: {}", listed(fields.iter())),
    }
}

/// A message in both of its forms.
#[derive(Debug, Default, PartialEq)]
struct Split {
    /// Used if it has no arguments.
    plain: String,
    /// Used if it has some.
    format: String,
    arguments: Vec<usize>,
}

#[derive(Debug, PartialEq)]
enum Mistake {
    Unknown(String),
    Form(&'static str),
}

fn split(text: &str, position: impl Fn(&str) -> Option<usize>) -> Result<Split, Mistake> {
    let mut split = Split::default();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        split.push(before);
        if let Some(after) = ["{{", "}}"].iter().find_map(|pair| brace.strip_prefix(pair)) {
            split.plain.push_str(&brace[..1]);
            split.format.push_str(&brace[..2]);
            rest = after;
            continue;
        }
        let Some(inside) = brace.strip_prefix('{') else {
            return Err(Mistake::Form("unmatched `}`: write `}}` for a brace"));
        };
        let Some((inside, after)) = inside.split_once('}') else {
            return Err(Mistake::Form("unmatched `{`: write `{{` for a brace"));
        };
        split.argument(inside, &position)?;
        rest = after;
    }
    split.push(rest);
    Ok(split)
}

impl Split {
    fn push(&mut self, text: &str) {
        self.plain.push_str(text);
        self.format.push_str(text);
    }

    // Input:  missing:>8
    // Output: {0:>8}
    fn argument(
        &mut self,
        inside: &str,
        position: &impl Fn(&str) -> Option<usize>,
    ) -> Result<(), Mistake> {
        let (name, spec) = inside.split_at(inside.find(':').unwrap_or(inside.len()));
        let name = name.trim();
        if name.is_empty() {
            return Err(Mistake::Form("`{}` names no field: write `{0}` or `{name}`"));
        }
        if spec.contains(['$', '*']) {
            return Err(Mistake::Form("width and precision must be numbers, as in `{0:>8.2}`"));
        }
        let field = position(name).ok_or_else(|| Mistake::Unknown(name.to_owned()))?;
        let known = self.arguments.iter().position(|argument| *argument == field);
        let number = known.unwrap_or_else(|| {
            self.arguments.push(field);
            self.arguments.len() - 1
        });
        self.format.push_str(&format!("{{{number}{spec}}}"));
        Ok(())
    }
}

/// Splits a name in CamelCase into words. A word starts at an uppercase letter that follows or
/// precedes a lowercase one.
pub(super) fn in_words(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let small = |at: Option<usize>| {
            at.and_then(|at| letters.get(at)).is_some_and(|letter| !letter.is_uppercase())
        };
        let begins = letter.is_uppercase() && (small(at.checked_sub(1)) || small(Some(at + 1)));
        if (begins || *letter == '_') && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        if *letter != '_' {
            words.extend(letter.to_lowercase());
        }
    }
    words.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Split, Mistake> {
        split(text, |name| ["missing", "of", "0"].iter().position(|known| *known == name))
    }

    #[test]
    fn fields_become_numbers_and_keep_their_format() {
        let split = of("{of}: {{{missing:>8}}} of { of :?}").unwrap();
        assert_eq!(split.format, "{0}: {{{1:>8}}} of {0:?}");
        assert_eq!(split.arguments, [1, 0]);
        assert_eq!(of("{0:.2}").unwrap().arguments, [2]);
    }

    #[test]
    fn a_message_without_fields_is_the_text_itself() {
        let split = of("a {{brace}} — 100 %").unwrap();
        assert_eq!((split.plain.as_str(), split.arguments.len()), ("a {brace} — 100 %", 0));
        assert_eq!(of("").unwrap(), Split::default());
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(of("{nobody}"), Err(Mistake::Unknown("nobody".to_owned())));
        for text in
            ["{", "}", "{missing", "missing}", "{}", "{:?}", "{missing:0$}", "{{}", "{0:.*}"]
        {
            assert!(matches!(of(text), Err(Mistake::Form(_))), "{text}");
        }
    }

    #[test]
    fn names_are_read_as_words() {
        for (name, words) in [
            ("NoSuchAccount", "no such account"),
            ("Closed", "closed"),
            ("HTTPError", "http error"),
            ("Http2Failed", "http2 failed"),
            ("ATeapot", "a teapot"),
            ("Not_Found", "not found"),
            ("snake_case_", "snake case"),
            ("ÜberMaß", "über maß"),
            ("E", "e"),
        ] {
            assert_eq!(in_words(name), words);
        }
    }
}
