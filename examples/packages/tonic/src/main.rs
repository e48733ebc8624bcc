//! A gRPC service on tonic: the health protocol, for a service that depends on a database.
//!
//! Run it with `cargo run`. It prints its address; call it with any gRPC client, such as
//! `grpcurl -plaintext -d '{"service": "orders"}' ADDRESS grpc.health.v1.Health/Check`, and request
//! a report with `kill -USR2 PID`.

use std::time::Duration;

use gmr::task::RequestLayer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_stream::Pending;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

struct Shop {
    /// One connection, for all calls.
    database: Semaphore,
}

#[tonic::async_trait]
impl Health for Shop {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        gmr::task::label("service", &service);
        Ok(Response::new(HealthCheckResponse { status: self.ask(&service).await.into() }))
    }

    type WatchStream = Pending<Result<HealthCheckResponse, Status>>;

    /// Statuses do not change here.
    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}

impl Shop {
    async fn ask(&self, service: &str) -> ServingStatus {
        let Ok(_connection) = self.database.acquire().await else {
            return ServingStatus::NotServing;
        };
        // Orders are slow.
        sleep(Duration::from_secs(if service == "orders" { 60 } else { 0 })).await;
        ServingStatus::Serving
    }
}

#[gmr::main]
#[tokio::main]
async fn main() -> Result<(), tonic::transport::Error> {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("listening on {}", port.local_addr().expect("it is bound"));
    println!("ready: kill -USR2 {}", std::process::id());

    Server::builder()
        .layer(RequestLayer::new())
        .add_service(HealthServer::new(Shop { database: Semaphore::new(1) }))
        .serve_with_incoming(TcpIncoming::from(port))
        .await
}
