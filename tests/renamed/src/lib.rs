//! Uses the crate under another name, and hands it on to others: `#[rpc(crate = …)]` says where it is.
//! Must not depend on anything called `wsjsonrpc`.

/// What a library that wraps the crate would offer.
pub mod wrapper {
    pub use other_name as inside;
}

/// The path is the dependency's name.
pub mod by_name {
    use other_name::{Context, Result, rpc};

    /// Adds.
    #[rpc(crate = other_name)]
    pub trait Math {
        /// Adds two numbers.
        async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    }
}

/// The path leads through this crate, and is in quotes.
pub mod by_path {
    use crate::wrapper::inside::{Context, Result, rpc};

    /// Greets.
    #[rpc(crate = "crate::wrapper::inside")]
    pub trait Hello {
        /// Greets somebody.
        async fn greet(&self, ctx: &Context, name: &str) -> Result<String>;
    }
}

#[cfg(test)]
mod tests {
    use other_name::{Client, Context, Result, Server, memory};

    use crate::by_name::{Math, MathClient};
    use crate::by_path::{Hello, HelloClient};

    struct Both;

    impl Math for Both {
        async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
            Ok(x + y)
        }
    }

    impl Hello for Both {
        async fn greet(&self, _: &Context, name: &str) -> Result<String> {
            Ok(format!("Hello, {name}!"))
        }
    }

    #[tokio::test]
    async fn calls_work_under_another_name() -> Result<()> {
        let server =
            Server::builder().service(Math::into_service(Both)).service(Hello::into_service(Both));
        let (client, _) = memory::pair(Client::builder(), server)?;
        assert_eq!(MathClient::new(client.peer()).sum(1, 2).await?, 3);
        assert_eq!(HelloClient::new(client.peer()).greet("Ada").await?, "Hello, Ada!");
        Ok(())
    }
}
