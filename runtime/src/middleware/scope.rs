//! [`Scope`]: a set of methods, given by names or by patterns with `*`.

use crate::incoming::context::Context;
use crate::util::drop_counter::DropCounter;

/// The builder methods of middleware with a field `scope: Scope`.
macro_rules! scope_methods {
    () => {
        /// Restricts the middleware to these methods. Repeated calls add methods.
        ///
        /// In a name, `*` stands for any characters: `report.*`. If one name of a method matches,
        /// its aliases are included as well, so that an alias cannot bypass the middleware.
        #[must_use]
        pub fn methods(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.scope.include(patterns);
            self
        }

        /// Excludes these methods. Repeated calls add methods.
        ///
        /// In a name, `*` stands for any characters: `public.*`. Only calls under a matching name
        /// are excluded, not calls under other names of the same method.
        #[must_use]
        pub fn except(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.scope.exclude(patterns);
            self
        }
    };
}

pub(crate) use scope_methods;

/// Logs notifications that were dropped because of a limit: the first one of a connection, and their
/// number when the connection ends. `method` is the registered name, `limit` the kind of limit.
pub(crate) fn count_dropped(ctx: &Context, method: Option<&str>, limit: &str) {
    if ctx.get_or_set(OverLimit(DropCounter::over_limit())).0.is_first() {
        let method = method.unwrap_or("unknown");
        tracing::warn!(method, "dropped a notification: {limit} limit exceeded");
    }
}

/// The notifications of a connection that were over a limit.
struct OverLimit(DropCounter);

/// The included methods, or all methods if none are named, without the excluded ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    only: Option<Vec<String>>,
    except: Vec<String>,
}

impl Scope {
    /// Adds methods to the included ones.
    pub(crate) fn include(&mut self, patterns: impl IntoIterator<Item = impl Into<String>>) {
        let only = self.only.get_or_insert_with(Vec::new);
        only.extend(patterns.into_iter().map(Into::into));
    }

    pub(crate) fn exclude(&mut self, patterns: impl IntoIterator<Item = impl Into<String>>) {
        self.except.extend(patterns.into_iter().map(Into::into));
    }

    /// The other names of a method count for inclusion, but not for exclusion, so that an alias cannot
    /// bypass a limit.
    pub(crate) fn has<N: AsRef<str>>(&self, method: &str, names: &[N]) -> bool {
        let is_named =
            |name: &str, patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        let included = self.only.as_ref().is_none_or(|only| {
            is_named(method, only) || names.iter().any(|name| is_named(name.as_ref(), only))
        });
        included && !is_named(method, &self.except)
    }
}

/// `*` stands for any characters, or none. Each piece between two of them is matched as early as
/// possible, which leaves the most for the pieces after it.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        let Some((_, behind)) = name.split_once(piece) else { return false };
        name = behind;
    }
    name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything() {
        for (pattern, name, expected) in [
            ("sum", "sum", true),
            ("sum", "sums", false),
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("math.*", "math.sum", true),
            ("math.*", "math.", true),
            ("math.*", "maths.sum", false),
            ("*.sum", "math.sum", true),
            ("*.sum", "math.sum.", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("**", "x", true),
            ("a**b", "ab", true),
            ("*é*", "né", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_scope_is_what_is_named_without_the_exceptions() {
        let mut scope = Scope::default();
        let has = |scope: &Scope, method| scope.has::<&str>(method, &[]);
        assert!(has(&scope, "a.b"));
        scope.exclude(["a.open"]);
        assert!(has(&scope, "b") && !has(&scope, "a.open"));
        scope.include(["a.*"]);
        scope.include(["c"]);
        let named = ["a.b", "c", "b", "a.open"].map(|method| has(&scope, method));
        assert_eq!(named, [true, true, false, false]);
        // By another name of the method.
        assert!(scope.has("b", &["a.b", "b"]) && scope.has("b", &["a.b", "b", "a.open"]));
        assert!(!scope.has("a.open", &["a.b", "a.open"]));
    }
}
