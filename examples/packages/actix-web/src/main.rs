//! A service on actix-web, with reports on an admin port.
//!
//! Run it with `cargo run`. It prints the addresses of both ports. Send it orders, and request a
//! report: `curl -X POST SERVICE/orders/4711`, `curl ADMIN/gmr`, or `kill -USR2 PID`.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpResponse, HttpServer, Responder, get, post, web};
use gmr::task::TrackExt as _;
use tokio::sync::Semaphore;
use tokio::time::sleep;

#[gmr::main]
#[actix_web::main]
async fn main() -> std::io::Result<()> {
    // Two connections to the database, for all requests.
    let database = web::Data::new(Semaphore::new(2));
    let service =
        HttpServer::new(move || App::new().app_data(database.clone()).wrap(from_fn(track)).service(accept))
            .workers(2)
            .bind("127.0.0.1:0")?;
    // A server of its own: its worker answers when those of the service are stuck. Only operators
    // may reach it.
    let admin = HttpServer::new(|| App::new().service(report)).workers(1).bind("127.0.0.1:0")?;

    println!("service: http://{}", service.addrs()[0]);
    println!("admin:   http://{}/gmr", admin.addrs()[0]);
    println!("ready: kill -USR2 {}", std::process::id());
    let (service, admin) = tokio::join!(service.run(), admin.disable_signals().run());
    service.and(admin)
}

/// Tracks each request as a task.
async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let what = format!("{} {}", request.method(), request.path());
    next.call(request).tracked_as("request").labelled("request", what).await
}

#[post("/orders/{order}")]
async fn accept(order: web::Path<u64>, database: web::Data<Semaphore>) -> impl Responder {
    let order = order.into_inner();
    gmr::task::label("order", order);
    store(order, &database).await;
    format!("order {order} is accepted\n")
}

async fn store(order: u64, database: &Semaphore) {
    let _connection = database.acquire().await;
    // Odd orders are slow.
    sleep(Duration::from_secs(if order.is_multiple_of(2) { 0 } else { 60 })).await;
}

#[get("/gmr")]
async fn report() -> impl Responder {
    let report = gmr::Report::capture_async().await;
    HttpResponse::Ok().content_type("text/html").body(report.to_html())
}
