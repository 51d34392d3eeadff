//! Uses the crate under another name, and re-exports it: `#[rpc(crate = …)]` names its path. Must
//! not depend on a crate named `wsjsonrpc`.

/// A library that wraps the crate.
pub mod wrapper {
    pub use other_name as inside;
}

/// The path is the name of the dependency.
pub mod by_name {
    use std::pin::Pin;
    use std::task::{self, Poll};

    use other_name::{Context, Result, RpcError, Stream, rpc};

    /// An error about numbers.
    #[derive(Debug, PartialEq, RpcError)]
    #[rpc_error(crate = other_name, schema)]
    pub enum MathError {
        /// They are too large.
        #[rpc_error(code = 1002)]
        Overflow {
            /// The first of them.
            x: i64,
        },
    }

    /// Adds.
    #[rpc(crate = other_name, mock, schema)]
    pub trait Math {
        /// Adds two numbers.
        #[example(params = (1, 2), result = 3)]
        #[example(params = (i64::MAX, 1), error = MathError::Overflow { x: i64::MAX })]
        async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64, MathError>;

        /// Counts down.
        #[subscription]
        fn down(&self, _ctx: &Context, from: u8) -> impl Stream<Item = u8> {
            Down(from)
        }
    }

    struct Down(u8);

    impl Stream for Down {
        type Item = u8;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<u8>> {
            let next = self.0.checked_sub(1);
            Poll::Ready(next.inspect(|next| self.0 = *next))
        }
    }
}

/// The path leads through this crate, and is in quotes.
pub mod by_path {
    use crate::wrapper::inside::{Context, Result, RpcError, rpc};

    /// Nobody to greet.
    #[derive(Debug, PartialEq, RpcError)]
    #[rpc_error(code = 1001, message = "{0} is not here", schema, crate = "crate::wrapper::inside")]
    pub struct Absent(pub String);

    /// Greets.
    #[rpc(crate = "crate::wrapper::inside", mock, schema)]
    pub trait Hello {
        /// Greets by name.
        async fn greet(
            &self,
            ctx: &Context,
            #[param(default)] name: &str,
        ) -> Result<String, Absent>;
    }
}

#[cfg(test)]
mod tests {
    use other_name::openrpc::Info;
    use other_name::{Client, Context, Error, Result, Server, memory, testing};

    use crate::by_name::{Math, MathClient, MathError, MathMock};
    use crate::by_path::{Absent, Hello, HelloClient, HelloMock};

    struct Both;

    impl Math for Both {
        async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64, MathError> {
            x.checked_add(y).ok_or(MathError::Overflow { x })
        }
    }

    impl Hello for Both {
        async fn greet(&self, _: &Context, name: &str) -> Result<String, Absent> {
            match name {
                "Ada" => Ok(format!("Hello, {name}!")),
                other => Err(Absent(other.to_owned())),
            }
        }
    }

    #[tokio::test]
    async fn calls_work_under_another_name() -> Result<()> {
        let server =
            Server::builder().service(Math::into_service(Both)).service(Hello::into_service(Both));
        let (client, _) = memory::pair(Client::builder(), server)?;
        let math = MathClient::new(client.peer());
        assert_eq!(math.sum(1, 2).await?, 3);
        let mut down = math.down(2).await?;
        assert_eq!(down.next().await.transpose()?, Some(1));
        assert_eq!(down.next().await.transpose()?, Some(0));
        assert_eq!(down.next().await.transpose()?, None);
        let Err(Error::Call(error)) = math.sum(i64::MAX, 1).await else { panic!() };
        assert_eq!(error, MathError::Overflow { x: i64::MAX });
        let hello = HelloClient::new(client.peer());
        assert_eq!(hello.greet("Ada").await?, "Hello, Ada!");
        let Err(Error::Call(error)) = hello.greet("Eve").await else { panic!() };
        assert_eq!(error, Absent("Eve".to_owned()));
        Ok(())
    }

    #[tokio::test]
    async fn mocks_work_under_another_name() -> Result<()> {
        let math = MathMock::new().sum(|_, x, y| Ok(x + y)).into_client();
        assert_eq!(math.sum(1, 2).await?, 3);
        assert!(matches!(math.down(2).await, Err(Error::Call(_))));
        let hello = HelloMock::new().greet(|_, name| Err(Absent(name.to_owned()))).into_client();
        let Err(Error::Call(error)) = hello.greet("Eve").await else { panic!() };
        assert_eq!(error, Absent("Eve".to_owned()));
        Ok(())
    }

    #[tokio::test]
    async fn descriptions_work_under_another_name() -> Result<()> {
        testing::assert_examples(Math::into_service(Both)).await;
        let server = Server::builder().service(Math::into_service(Both)).calls::<HelloClient>();
        let endpoint = server.build()?;
        let document = endpoint.openrpc(&Info::new("API", "1"));
        let methods = &document.as_value()["methods"];
        assert_eq!(methods[0]["errors"][0]["code"], 1002);
        assert_eq!(methods[1]["x-subscription"]["item"]["format"], "uint8");
        assert_eq!(methods[2]["errors"][0]["message"], "{0} is not here");
        assert_eq!(methods[2]["params"][0]["schema"]["default"], "");
        Ok(())
    }
}
