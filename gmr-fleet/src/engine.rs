//! The engine: the tables of a folder as tables of `DataFusion`, and SQL that is asked of them. It
//! reads that folder and nothing else, and writes nothing but what does not fit into memory, to a
//! temporary folder. A value that a user has given is never a part of SQL: the texts read it by the
//! function `getvariable`, as those of `DuckDB` do.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{ColumnarValue, Expr, Volatility, col, create_udf, lit};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::DFParser;
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use crate::args::{Dates, From};
use crate::store::{self, Place};
use crate::tables::{Name, Table, files};

/// The views that the questions are asked of.
const VIEWS: &str = include_str!("sql/views.sql");

/// What the engine knows the folder as. It has no other store.
const URL: &str = "gmr://tables/";

/// The columns that are in the path only.
const SERVICE: &str = "service";
const DATE: &str = "date";

/// Values for `getvariable`, by name.
pub(crate) type Variables = HashMap<&'static str, String>;

pub(crate) struct Engine {
    session: SessionContext,
    runtime: Runtime,
    /// The batches that are asked.
    batches: Vec<Place>,
    max_mib: u32,
}

impl Engine {
    /// Opens the tables.
    ///
    /// # Errors
    /// There are none, or not all of them can be read.
    pub(crate) fn open(from: &From, variables: Variables) -> Result<Self, String> {
        let batches = batches(from)?;
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .build()
            .map_err(|error| format!("could not start threads: {error}"))?;
        let bytes = usize::try_from(from.max_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let session = session(&from.tables, bytes, threads).map_err(|error| text_of(&error))?;
        let engine = Self { session, runtime, batches, max_mib: from.max_mib };
        engine.prepare(from, variables).map_err(|error| text_of(&error))?;
        Ok(engine)
    }

    fn prepare(&self, from: &From, variables: Variables) -> Result<(), DataFusionError> {
        let Self { session, runtime, .. } = self;
        let only = only(from);
        for table in Name::ALL.map(Name::table) {
            let listed = Arc::new(listed(table)?);
            // The views have these names for what is in them once each.
            let name = match table.name {
                "stacks" => "all_stacks",
                "places" => "all_places",
                name => name,
            };
            match &only {
                Some(only) => {
                    let view = session.read_table(listed)?.filter(only.clone())?.into_view();
                    session.register_table(name, view)?;
                }
                None => drop(session.register_table(name, listed)?),
            }
        }
        session.register_udf(getvariable(variables));
        for statement in DFParser::parse_sql(VIEWS)? {
            runtime.block_on(async {
                let plan = session.state().statement_to_plan(statement).await?;
                session.execute_logical_plan(plan).await
            })?;
        }
        Ok(())
    }

    /// Answers a query batch by batch, until `each` returns false. A text with anything but one
    /// query is an error.
    pub(crate) fn ask(
        &self,
        sql: &str,
        mut each: impl FnMut(&RecordBatch) -> Result<bool, String>,
    ) -> Result<(), String> {
        let read_only =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let started = self
            .runtime
            .block_on(async { self.session.sql_with_options(sql, read_only).await?.execute_stream().await });
        let mut stream = started.map_err(|error| self.failed(&error))?;
        // So that what has no rows has columns.
        let mut goes_on = each(&RecordBatch::new_empty(stream.schema()))?;
        while goes_on {
            let Some(batch) = self.runtime.block_on(stream.next()) else { break };
            goes_on = each(&batch.map_err(|error| self.failed(&error))?)?;
        }
        Ok(())
    }

    /// What to say, and what to do.
    fn failed(&self, error: &DataFusionError) -> String {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => format!(
                "it takes more than {} MiB of memory; ask about less (--service, --date), or allow more (--max-mib)",
                self.max_mib
            ),
            DataFusionError::Plan(_)
            | DataFusionError::SQL(..)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => text_of(error),
            // The engine does not always name the file.
            _ => self.broken().unwrap_or_else(|| text_of(error)),
        }
    }

    /// The first file that can't be read.
    fn broken(&self) -> Option<String> {
        let files = self.batches.iter().flat_map(|place| Name::ALL.map(|name| place.file(name.table())));
        files.map(|file| whole(&file)).find_map(Result::err)
    }
}

/// Whether all of a file can be read.
fn whole(file: &Path) -> Result<(), String> {
    files::read(file, None, |_| ()).map_err(remedy(file))
}

/// Adds what to do about a file that can't be read.
fn remedy(file: &Path) -> impl Fn(String) -> String {
    let folder = file.parent().unwrap_or(file).display().to_string();
    move |error| format!("{error}; move {folder} away to go on without its reports")
}

/// The batches of a folder that are asked, once all of their files are there.
fn batches(from: &From) -> Result<Vec<Place>, String> {
    let shown = from.tables.display();
    let all = store::batches(&from.tables)?;
    if all.is_empty() {
        return Err(format!("there are no tables in {shown}; `gmr ship REPORTS {shown}` writes them"));
    }
    let services: BTreeSet<&str> = all.iter().map(|place| partition(place).0).collect();
    let is_asked = |place: &Place| {
        let (service, date) = partition(place);
        from.service.as_deref().is_none_or(|wanted| wanted == service)
            && from.date.as_ref().is_none_or(|dates| dates.have(date))
    };
    let asked: Vec<Place> = all.iter().filter(|place| is_asked(place)).cloned().collect();
    if asked.is_empty() {
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!("there are no such reports in {shown}; it has those of {services}"));
    }
    for place in &asked {
        for table in Name::ALL.map(Name::table) {
            let file = place.file(table);
            // The engine leaves out what is empty, or not there.
            files::check_end(&file).map_err(remedy(&file))?;
        }
        let file = place.file(Name::Reports.table());
        files::check(&file).map_err(remedy(&file))?;
    }
    Ok(asked)
}

/// The service and the date of a batch.
fn partition(place: &Place) -> (&str, &str) {
    let mut parents = place.path.ancestors().skip(1).map(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split_once('=').map_or("", |(_, value)| value)
    });
    let date = parents.next().unwrap_or_default();
    (parents.next().unwrap_or_default(), date)
}

/// What the engine is to read of the tables: the folders of a service or a date.
fn only(from: &From) -> Option<Expr> {
    let service = from.service.as_ref().map(|service| col(SERVICE).eq(lit(service.clone())));
    let dates = from.date.as_ref().map(|Dates { first, last }| {
        col(DATE).gt_eq(lit(first.clone())).and(col(DATE).lt_eq(lit(last.clone())))
    });
    service.into_iter().chain(dates).reduce(Expr::and)
}

fn session(folder: &Path, bytes: usize, threads: usize) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new().with_target_partitions(threads).with_information_schema(true);
    // A batch is a folder below the date.
    config.options_mut().execution.listing_table_ignore_subdirectory = false;
    let pool = Arc::new(FairSpillPool::new(bytes));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    let session = SessionContext::new_with_config_rt(config, runtime);
    let store = LocalFileSystem::new_with_prefix(folder)?;
    session.register_object_store(ListingTableUrl::parse(URL)?.object_store().as_ref(), Arc::new(store));
    Ok(session)
}

/// The files of a table. A column that one of them lacks is null in it.
fn listed(table: &Table) -> Result<ListingTable, DataFusionError> {
    let partitions = [SERVICE, DATE].map(|name| (name.to_owned(), DataType::Utf8));
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
        .with_file_extension(format!("/{}", table.file()))
        .with_table_partition_cols(partitions.to_vec());
    let config = ListingTableConfig::new(ListingTableUrl::parse(URL)?)
        .with_listing_options(options)
        .with_schema(Arc::new(table.schema()));
    ListingTable::try_new(config)
}

/// The function by which SQL reads a value; null if it is not set.
fn getvariable(variables: Variables) -> datafusion::logical_expr::ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| {
        let name = match &arguments[0] {
            ColumnarValue::Scalar(name) => name.try_as_str().flatten().map(str::to_owned),
            ColumnarValue::Array(names) => {
                names.as_string_opt::<i32>().map(|names| names.value(0).to_owned())
            }
        };
        let value = name.and_then(|name| variables.get(&*name).cloned());
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value)))
    };
    create_udf("getvariable", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(body))
}

/// An error on one line.
fn text_of(error: &DataFusionError) -> String {
    error.strip_backtrace().split_whitespace().collect::<Vec<_>>().join(" ")
}
