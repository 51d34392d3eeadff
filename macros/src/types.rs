//! Checks the types of arguments and results, and the bounds of type parameters, by the words in
//! them. The trait bounds of the runtime check everything else, and also see through aliases.

use quote::ToTokens;
use syn::{Generics, Path, ReturnType, Type, TypeParam, WherePredicate};

use crate::report::Report;
use crate::text::{Word, words};

const SELF: &str = "`Self` is not known to the peer: name the type";

/// Types that own their content. A reference inside of one would have to borrow from the message.
const OWNERS: [&str; 8] =
    ["Vec", "VecDeque", "Box", "Arc", "HashMap", "BTreeMap", "HashSet", "BTreeSet"];

/// The names of types that are taken for streams.
const STREAMS: [&str; 2] = ["Stream", "BoxStream"];

pub(crate) fn check_argument(ty: &Type, generics: &Generics, report: &mut Report) {
    let words = words(ty.to_token_stream());
    // A declared lifetime is reported where it is declared.
    let is_declared =
        |word: &Word| generics.lifetimes().any(|param| param.lifetime.to_string() == word.text);
    let mut previous = "";
    for word in &words {
        let is_named = previous == "&" && word.text.starts_with('\'') && word.text != "'_";
        let message = match word.text.as_str() {
            "mut" => {
                "an argument cannot be a `&mut` reference: it is decoded from the message, and \
                 changes do not reach the caller; use `&T`, `&str` or an owned type"
            }
            "impl" => {
                "an argument needs a concrete type that both client and server know: replace `impl` \
                 with that type, or with a type parameter of the trait"
            }
            "dyn" => "`dyn` types cannot be decoded: use a struct or an enum",
            "Self" => SELF,
            _ if is_named && !is_declared(word) => {
                "remove the lifetime: a borrowed argument lives as long as the call"
            }
            _ => {
                previous = &word.text;
                continue;
            }
        };
        return report.error_at(word.span, message);
    }
    if let Some(word) = inner_reference(&words) {
        report.error_at(
            word.span,
            "an argument cannot contain a reference: write `&str`, `&[T]`, `&T` or an `Option` of \
             these, with owned types inside, as in `Vec<String>` or `&[String]`",
        );
    }
}

/// Finds a reference inside an argument's type. A string with escapes cannot be borrowed from the
/// message, so `Vec<&str>` cannot be decoded from every list of strings.
fn inner_reference(words: &[Word]) -> Option<&Word> {
    let mut around: Vec<&str> = Vec::new();
    let mut previous = "";
    let mut references = 0;
    for word in words {
        match word.text.as_str() {
            "(" | "[" => around.push(&word.text),
            "<" => around.push(previous),
            ")" | "]" | ">" => drop(around.pop()),
            "&" => {
                references += 1;
                let is_owned = |name: &&str| ["(", "["].contains(name) || OWNERS.contains(name);
                if references > 1 || around.iter().any(is_owned) {
                    return Some(word);
                }
            }
            _ => {}
        }
        previous = &word.text;
    }
    None
}

pub(crate) fn check_output(output: &ReturnType, report: &mut Report) {
    let ReturnType::Type(_, ty) = output else { return };
    let words = words(ty.to_token_stream());
    let is_stream = words.iter().any(|word| STREAMS.contains(&word.text.as_str()));
    for word in words {
        let message = match word.text.as_str() {
            "impl" | "dyn" | "BoxStream" if is_stream => {
                "a method returns one result: for a stream of items, add `#[subscription]` and \
                 return `-> impl Stream<Item = T>`"
            }
            "&" => {
                "a result cannot borrow, because it is sent to the caller: return an owned type, \
                 such as `String` or `Vec<T>`"
            }
            "impl" => {
                "a result needs a concrete type that both client and server know: replace `impl` \
                 with that type, and write `async fn` if the method returns a future"
            }
            "dyn" => "`dyn` types cannot be sent: use a struct or an enum",
            "Self" => SELF,
            _ => continue,
        };
        return report.error_at(word.span, message);
    }
}

/// Requires bounds on a type parameter. Without them, rustc would report an error in each place
/// where values are sent.
pub(crate) fn check_has_bounds(
    param: &TypeParam,
    generics: &Generics,
    report: &mut Report,
    message: impl FnOnce() -> String,
) {
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let mut bounded = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => Some(predicate.bounded_ty.to_token_stream()),
        _ => None,
    });
    let ident = &param.ident;
    if param.bounds.is_empty()
        && !bounded.any(|ty| words(ty).iter().any(|word| *ident == word.text))
    {
        report.error(ident, message());
    }
}

pub(crate) fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

/// `Path::is_ident` for several names.
pub(crate) fn is_one_of(path: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| path.is_ident(name))
}
