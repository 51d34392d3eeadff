//! The differences between two documents, and whom each of them breaks: [`compare`].

use std::fmt;

use super::Document;

mod methods;
mod schema;
mod shape;
mod source;
mod text;

/// One difference between two documents. [`compare`] returns a list of them.
///
/// `{}` writes the difference on one line: the method, the place, what changed, and whom it breaks.
///
/// ```
/// use wsjsonrpc::openrpc::{ChangeKind, Document, compare};
///
/// let document = |format: &str| -> Document {
///     let text = r#"{"openrpc": "1.3.2", "info": {"title": "Math", "version": "1.0.0"},
///         "methods": [{"name": "math.sum", "params": [
///             {"name": "x", "required": true, "schema": {"type": "integer", "format": "FORMAT"}}
///         ]}]}"#;
///     text.replace("FORMAT", format).parse().unwrap()
/// };
///
/// let changes = compare(&document("int64"), &document("int32"));
/// assert_eq!(changes.len(), 1);
/// assert_eq!(changes[0].method.as_deref(), Some("math.sum"));
/// assert_eq!(changes[0].at, "param `x`");
/// assert_eq!(changes[0].kind, ChangeKind::TypeNarrowed);
/// assert!(changes[0].breaks_callers && !changes[0].breaks_implementers);
/// assert_eq!(
///     changes[0].to_string(),
///     "math.sum: param `x`: accepts less: integer (int64) -> integer (int32); breaks callers"
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The name of the method. `None` for a change of the document as a whole. A method that was
    /// renamed has its old name in the change that reports this. All other changes have its new name,
    /// unless the old document had another method of that name.
    pub method: Option<String>,
    /// The place inside the method, such as ``param `x` `` or `result.items[].price`. Empty if the
    /// change is about the method itself.
    pub at: String,
    /// What changed.
    pub kind: ChangeKind,
    /// Programs that call the old version of the method may fail with the new one.
    pub breaks_callers: bool,
    /// Programs that implement the old version of the method do not implement the new one.
    pub breaks_implementers: bool,
    /// More about the change, such as `integer (int64) -> integer (int32)`. May be empty. For people,
    /// not for programs: the wording can change.
    pub detail: String,
}

impl Change {
    /// The change breaks callers or implementers.
    pub fn is_breaking(&self) -> bool {
        self.breaks_callers || self.breaks_implementers
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{}: ", text::shortened(method))?,
            None => f.write_str("document: ")?,
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(self.kind.phrase(&self.at))?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        f.write_str(match (self.breaks_callers, self.breaks_implementers) {
            (true, true) => "; breaks callers and implementers",
            (true, false) => "; breaks callers",
            (false, true) => "; breaks implementers",
            (false, false) => "",
        })
    }
}

/// What a [`Change`] is about. [`compare`] says which kinds break callers and implementers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The method no longer exists.
    MethodRemoved,
    /// The method is new.
    MethodAdded,
    /// The method has another name, and is otherwise the same or has the old name as an alias.
    MethodRenamed,
    /// An alias no longer exists (`x-aliases`).
    AliasRemoved,
    /// An alias is new (`x-aliases`).
    AliasAdded,
    /// The method is implemented by another side (`x-implemented-by`).
    ImplementedByChanged,
    /// Params can be sent in another structure: as a list, as an object, or as either.
    ParamStructureChanged,
    /// A param is new.
    ParamAdded,
    /// A param no longer exists.
    ParamRemoved,
    /// A param has another name, and the same position.
    ParamRenamed,
    /// The params have another order.
    ParamsReordered,
    /// A param that was optional is required.
    ParamRequired,
    /// A param that was required is optional.
    ParamOptional,
    /// An optional param has another default.
    DefaultChanged,
    /// A schema rejects values that it accepted.
    TypeNarrowed,
    /// A schema accepts values that it rejected.
    TypeWidened,
    /// A schema rejects values that it accepted, and accepts others that it rejected. Also schemas
    /// that cannot be compared.
    TypeChanged,
    /// A member of an object is new.
    MemberAdded,
    /// A member of an object is no longer described.
    MemberRemoved,
    /// A member of an object that was optional is required.
    MemberRequired,
    /// A member of an object that was required is optional.
    MemberOptional,
    /// The method has a result, and was a notification.
    ResultAdded,
    /// The method is a notification, and had a result.
    ResultRemoved,
    /// An error code is new.
    ErrorAdded,
    /// An error code is no longer declared.
    ErrorRemoved,
    /// An error code has another message.
    ErrorMessageChanged,
    /// The method is a subscription, and was not.
    SubscriptionAdded,
    /// The method is no longer a subscription.
    SubscriptionRemoved,
    /// The notification of a subscription, its method `unsubscribe`, or whether it can be resumed.
    SubscriptionChanged,
    /// The method reports progress (`x-progress`).
    ProgressAdded,
    /// The method no longer reports progress (`x-progress`).
    ProgressRemoved,
    /// The method may be called several times with the effect of one call (`x-idempotent`).
    IdempotentAdded,
    /// Calling the method several times may have another effect than one call (`x-idempotent`).
    IdempotentRemoved,
    /// The method runs in order with others (`x-ordered`).
    OrderedAdded,
    /// The method no longer runs in order with others (`x-ordered`).
    OrderedRemoved,
    /// Cancelling a call has another effect (`x-cancel`).
    CancelChanged,
    /// The method or the param is deprecated.
    Deprecated,
    /// The method or the param is no longer deprecated.
    Undeprecated,
    /// A member of the method that [`compare`] does not know.
    ExtensionChanged,
    /// Texts for people: summary, description, examples, tags, links. At the document: `info`,
    /// `servers` and the version of OpenRPC.
    Documentation,
}

impl ChangeKind {
    fn phrase(self, at: &str) -> &'static str {
        let verb = |params, result, other| match at {
            at if at.starts_with("param") => params,
            at if at.starts_with("result") => result,
            _ => other,
        };
        match self {
            ChangeKind::MethodRemoved => "method removed",
            ChangeKind::MethodAdded => "method added",
            ChangeKind::MethodRenamed => "method renamed",
            ChangeKind::AliasRemoved => "alias removed",
            ChangeKind::AliasAdded => "alias added",
            ChangeKind::ImplementedByChanged => "implemented by another side",
            ChangeKind::ParamStructureChanged => "structure of params changed",
            ChangeKind::ParamRenamed => "renamed",
            ChangeKind::ParamsReordered => "params reordered",
            ChangeKind::ParamRequired | ChangeKind::MemberRequired => "is now required",
            ChangeKind::ParamOptional | ChangeKind::MemberOptional => "is now optional",
            ChangeKind::DefaultChanged => "default changed",
            ChangeKind::TypeNarrowed => verb("accepts less", "returns less", "sends less"),
            ChangeKind::TypeWidened => verb("accepts more", "returns more", "sends more"),
            ChangeKind::TypeChanged => {
                verb("accepts other values", "returns other values", "sends other values")
            }
            ChangeKind::ParamAdded | ChangeKind::MemberAdded | ChangeKind::ErrorAdded => "added",
            ChangeKind::ParamRemoved | ChangeKind::MemberRemoved | ChangeKind::ErrorRemoved => {
                "removed"
            }
            ChangeKind::ResultAdded => "result added",
            ChangeKind::ResultRemoved => "result removed",
            ChangeKind::ErrorMessageChanged => "message changed",
            ChangeKind::SubscriptionAdded => "is now a subscription",
            ChangeKind::SubscriptionRemoved => "is no longer a subscription",
            ChangeKind::SubscriptionChanged => "subscription changed",
            ChangeKind::ProgressAdded => "reports progress",
            ChangeKind::ProgressRemoved => "no longer reports progress",
            ChangeKind::IdempotentAdded => "is now idempotent",
            ChangeKind::IdempotentRemoved => "is no longer idempotent",
            ChangeKind::OrderedAdded => "is now ordered",
            ChangeKind::OrderedRemoved => "is no longer ordered",
            ChangeKind::CancelChanged => "effect of cancellation changed",
            ChangeKind::Deprecated => "is now deprecated",
            ChangeKind::Undeprecated => "is no longer deprecated",
            ChangeKind::ExtensionChanged => "changed",
            ChangeKind::Documentation => "documentation changed",
        }
    }
}

/// Finds the differences between two versions of a document, and whom each of them breaks.
///
/// The documents may have been written by other programs, in any version of OpenRPC from 1.0 to 1.4.
/// The changes of a method stand together, in the order of the old document. New methods follow, and
/// then the document as a whole. Two equal documents have no changes.
///
/// # Callers and implementers
///
/// A change breaks **callers** if a program that calls the old version may fail with an implementation
/// of the new version. It breaks **implementers** if a program that implements the old version does
/// not implement the new one. Servers implement most methods. For a method with
/// `x-implemented-by: ["client"]`, the client is the implementer.
///
/// ```
/// use wsjsonrpc::openrpc::{Document, compare};
///
/// let old: Document = r#"{
///     "openrpc": "1.3.2",
///     "info": {"title": "Shop", "version": "1.0.0"},
///     "methods": [{
///         "name": "shop.find",
///         "params": [{"name": "word", "required": true, "schema": {"type": "string"}}],
///         "result": {"name": "result", "schema": {"type": "string"}}
///     }]
/// }"#
/// .parse()?;
/// let new: Document = r#"{
///     "openrpc": "1.3.2",
///     "info": {"title": "Shop", "version": "1.1.0"},
///     "methods": [{
///         "name": "shop.find",
///         "params": [
///             {"name": "word", "required": true, "schema": {"type": "string"}},
///             {"name": "limit", "required": false, "schema": {"type": "integer"}}
///         ],
///         "result": {"name": "result", "schema": {"type": ["string", "null"]}}
///     }]
/// }"#
/// .parse()?;
///
/// let lines: Vec<String> = compare(&old, &new).iter().map(ToString::to_string).collect();
/// assert_eq!(
///     lines,
///     [
///         "shop.find: param `limit`: added: optional, integer; breaks implementers",
///         "shop.find: result: returns more: also null; breaks callers",
///         "document: documentation changed: info",
///     ]
/// );
/// # Ok::<(), wsjsonrpc::openrpc::InvalidDocument>(())
/// ```
///
/// To reject a release that breaks callers:
///
/// ```
/// # use wsjsonrpc::openrpc::{Document, compare};
/// fn breaks_callers(old: &Document, new: &Document) -> bool {
///     compare(old, new).iter().any(|change| change.breaks_callers)
/// }
/// ```
///
/// # Methods
///
/// | change | breaks callers | breaks implementers |
/// |---|---|---|
/// | method removed | yes | no |
/// | method added | no | yes |
/// | method renamed | unless the old name is an alias of the new method | unless the new name was an alias of the old method |
/// | alias removed | yes | no |
/// | alias added | no | yes |
/// | `x-implemented-by` | if a side no longer implements the method | if another side has to |
/// | result added to a notification | no | yes |
/// | result removed | yes | no |
/// | `x-progress`, `x-idempotent` or `x-ordered` added, or `x-cancel` | no | yes |
/// | the same removed | yes | no |
/// | `x-subscription` added or removed, another notification or method `unsubscribe` | yes | yes |
/// | the subscription can be resumed | no | yes |
/// | the subscription can no longer be resumed | yes | no |
/// | deprecated or no longer deprecated | no | no |
/// | documentation | no | no |
/// | other members, such as unknown `x-…` | no | no |
///
/// A method that was removed and one that was added are one method that was renamed if everything
/// but the texts is the same, and no other method could be meant.
///
/// # Params
///
/// | change | breaks callers | breaks implementers |
/// |---|---|---|
/// | required param added | yes | yes |
/// | optional param added | if it is in the middle and callers may send a list | yes |
/// | required param removed | yes | yes |
/// | optional param removed | yes | if it was in the middle and callers may send a list |
/// | param renamed | if callers may send an object | if callers may send an object |
/// | params reordered | if callers may send a list | if callers may send a list |
/// | optional param is now required | yes | no |
/// | required param is now optional | no | yes |
/// | default changed | yes | yes |
/// | default added or removed | no | no |
/// | a list or an object is no longer accepted | yes | no |
/// | a list or an object is now accepted | no | yes |
///
/// # Errors
///
/// A new code breaks nobody, because callers must handle codes that they do not know. For the same
/// reason, a removed code and another message break nobody. The `data` of an error is compared like
/// a result.
///
/// # Schemas
///
/// | change | in params | in results, items, progress and the data of errors |
/// |---|---|---|
/// | accepts less | breaks callers | breaks implementers |
/// | accepts more | breaks implementers | breaks callers |
/// | accepts other values, or cannot be compared | breaks both | breaks both |
/// | optional member is now required | breaks callers | breaks implementers |
/// | required member is now optional | breaks implementers | breaks callers |
/// | optional member added | breaks implementers | breaks nobody |
/// | required member added | breaks both | breaks implementers |
/// | optional member removed | breaks callers | breaks nobody |
/// | required member removed | breaks both | breaks callers |
///
/// The last four lines assume that the receiver ignores members that it does not know. If the schema
/// has `additionalProperties: false`, then a member that is added to a result also breaks callers,
/// and a member that is removed from a result also breaks implementers.
///
/// The comparison follows `$ref`s inside the document. It ignores the names of types, titles,
/// descriptions and examples. It assumes that the alternatives of a `oneOf` exclude each other. It
/// reports a difference that it does not understand, for example in `if` and `then`, as breaking both.
/// A type that a method uses in several places is compared once for each param and each result, at the
/// place nearest to it. A comparison that needs too many steps ends, and is reported as breaking both;
/// so is a union of more than 500 alternatives that changed.
pub fn compare(old: &Document, new: &Document) -> Vec<Change> {
    methods::compare(old.as_value(), new.as_value())
}
