//! Subscriptions: a plain one, one that can refuse, one whose items may be errors, and ones whose
//! items have positions.

#[rpc(namespace = "feed")]
trait Feeds {
    #[subscription]
    fn ticks(&self, ctx: &Context, symbol: &str) -> impl Stream<Item = Tick>;

    #[subscription(name = "eth_subscribe", unsubscribe = "eth_unsubscribe", notification = "eth_subscription", item = Head, overflow = "drop_oldest", buffer = 100, tell_end = false)]
    async fn heads(&self, ctx: &Context, kind: String) -> Result<impl Stream<Item = Head>, Refused>;

    #[subscription]
    fn pieces(&self, ctx: &Context) -> impl Stream<Item = Result<Piece, Broken>> + Send;

    #[subscription]
    fn entries(&self, ctx: &Context) -> impl Stream<Item = Positioned<Entry>>;

    #[subscription]
    fn changes(&self, ctx: &Context) -> Result<impl Stream<Item = Result<Positioned<Change>, Broken>>, Refused>;
}
