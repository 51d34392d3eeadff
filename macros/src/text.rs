//! Converts tokens to words, for rules about types, and to readable text, for messages that show
//! the correct form.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};

/// One token, except that `::`, `->` and a lifetime are one word each.
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// Writes `& 'a Vec < u8 >` as `&'a Vec<u8>`.
pub(crate) fn readable(tokens: TokenStream) -> String {
    let mut text = String::new();
    let mut previous = String::new();
    for word in words(tokens) {
        if needs_space(&previous, &word.text) {
            text.push(' ');
        }
        text.push_str(&word.text);
        previous = word.text;
    }
    text
}

fn needs_space(left: &str, right: &str) -> bool {
    let glued_to_the_right =
        ["", "(", "[", "<", "&", "::", "#", "!", ".", "*", "?"].contains(&left);
    let glued_to_the_left =
        [")", "]", ">", "(", "<", ",", ";", ":", "::", "?", "."].contains(&right);
    // Keeps `-> (A, B)`, `: [T; 4]` and `+ ?Sized` apart, which the rules above would join.
    let kept_apart = ["->", ":", ",", "+", "=", ";"].contains(&left);
    (kept_apart && right != ">") || !(glued_to_the_right || glued_to_the_left)
}

/// The words of `tokens` and of all the groups in them.
pub(crate) fn words(tokens: TokenStream) -> Vec<Word> {
    let mut words = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Group(group) = token {
            words.extend(words_of_group(group));
            continue;
        }
        let mut word = Word { text: token.to_string(), span: token.span() };
        if let (TokenTree::Punct(punct), Some(next)) = (&token, tokens.peek()) {
            let joins = match next {
                TokenTree::Punct(next) => {
                    punct.spacing() == Spacing::Joint
                        && matches!((punct.as_char(), next.as_char()), (':', ':') | ('-', '>'))
                }
                TokenTree::Ident(_) => punct.as_char() == '\'',
                _ => false,
            };
            if joins {
                word.text.extend(tokens.next().map(|next| next.to_string()));
            }
        }
        words.push(word);
    }
    words
}

fn words_of_group(group: Group) -> Vec<Word> {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::None => return words(group.stream()),
    };
    let mut all = vec![Word { text: open.to_owned(), span: group.span_open() }];
    all.extend(words(group.stream()));
    all.push(Word { text: close.to_owned(), span: group.span_close() });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_read_as_they_are_written() {
        for text in [
            "async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>",
            "fn f(&self, a: &'static [u8], b: Option<&str>) -> Result<(), E>",
            "fn f(&self, a: ::std::vec::Vec<Vec<u8>>) -> (A, B)",
            "fn f(&self, a: [T; 4], b: impl Fn(u8) -> u8 + ?Sized)",
        ] {
            assert_eq!(readable(text.parse().unwrap()), text);
        }
    }
}
