//! A daemon on a free port, and requests to it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use longshore_api::{ClientOptions, HttpClient};
use longshore_core::{ErrorKind, Store, StoreError, SystemClock};
use longshore_daemon::serve::{ServerOptions, serve};
use longshore_daemon::{AppState, app};
use longshore_memory::MemoryStore;
use longshore_testkit::way::{Effect, Way};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A daemon that ends with the test.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    client: Client<HttpConnector, Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A way to a store on which calls of one method are lost.
#[derive(Debug)]
pub(crate) struct Without(pub(crate) &'static str);

impl Way for Without {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match method == self.0 {
            true => Err(StoreError::new(
                ErrorKind::Unavailable,
                "/secret/place: away",
            )),
            false => effect.await,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// The parts of a daemon over jobs in memory.
pub(crate) fn state() -> (AppState, Arc<dyn Store>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let state = AppState::new(Arc::clone(&store), Arc::new(SystemClock::new()));
    (state, store)
}

impl Daemon {
    /// One over jobs in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(|state| state).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(AppState) -> AppState) -> Self {
        let (state, store) = state();
        Self::of(change(state), store).await
    }

    pub(crate) async fn of(state: AppState, store: Arc<dyn Store>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = ServerOptions::default();
        let serving = serve(listener, app(state), options, std::future::pending());
        Self {
            address,
            store,
            client: Client::builder(TokioExecutor::new()).build_http(),
            task: tokio::spawn(serving).abort_handle(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self, token: Option<&str>) -> HttpClient {
        HttpClient::new(&self.url(), token, ClientOptions::default()).unwrap()
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// The answer as it begins.
    pub(crate) async fn open(&self, path: &str) -> hyper::Response<hyper::body::Incoming> {
        let request = axum::http::Request::builder().uri(format!("{}{path}", self.url()));
        let request = request.body(Full::default()).unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask(Method::POST, path, &json, body).await
    }
}
