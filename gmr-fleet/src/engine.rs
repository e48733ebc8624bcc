//! The engine: the tables of a store as tables of `DataFusion`, and SQL that is asked of them. It
//! reads the batches that are asked and nothing else, and writes nothing but what does not fit into
//! memory, to a temporary folder. A value that a user has given is never a part of SQL: the texts read it by the
//! function `getvariable`, as those of `DuckDB` do.

mod once;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::DFParser;
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use self::once::Once;
use crate::args::From;
use crate::asked::Asked;
use crate::store::{self, Broken, Location, Place, Storage};
use crate::tables::{Name, Table};
use crate::threads;

/// The views that the questions are asked of.
const VIEWS: &str = include_str!("sql/views.sql");

/// The view that most questions need, and some several times. It has a row for each process.
const LATEST: &str = "latest";

/// What the engine knows the store as. It has no other one.
const URL: &str = "gmr://tables/";

/// The columns that are in the path only.
const SERVICE: &str = "service";
const DATE: &str = "date";

/// Values for `getvariable`, by name.
pub(crate) type Variables = HashMap<&'static str, String>;

pub(crate) struct Engine {
    session: SessionContext,
    runtime: &'static Runtime,
    storage: Box<dyn Storage>,
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
        let storage = store::open(&from.tables)?;
        let batches = batches(&*storage, from)?;
        let bytes = usize::try_from(from.max_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let asked = Asked::new(&batches, storage.objects()?);
        let session = session(asked, bytes).map_err(|error| text_of(&error))?;
        let engine = Self { session, runtime: threads::runtime()?, storage, batches, max_mib: from.max_mib };
        engine.prepare(variables).map_err(|error| text_of(&error))?;
        Ok(engine)
    }

    fn prepare(&self, variables: Variables) -> Result<(), DataFusionError> {
        let Self { session, runtime, .. } = self;
        for table in Name::ALL.map(Name::table) {
            // The views have these names for what is in them once each.
            let name = match table.name {
                "stacks" => "all_stacks",
                "places" => "all_places",
                name => name,
            };
            session.register_table(name, Arc::new(listed(table)?))?;
        }
        session.register_udf(getvariable(variables));
        for statement in DFParser::parse_sql(VIEWS)? {
            runtime.block_on(async {
                let plan = session.state().statement_to_plan(statement).await?;
                session.execute_logical_plan(plan).await
            })?;
        }
        let latest = runtime.block_on(session.table_provider(LATEST))?;
        session.deregister_table(LATEST)?;
        session.register_table(LATEST, Arc::new(Once::new(latest)))?;
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
            | DataFusionError::Diagnostic(..) => {
                // The engine's own name for where tables are.
                let text = text_of(error).replace("datafusion.public.", "");
                if !text.contains("not found") && !text.contains("No field named") {
                    return text;
                }
                // It can list all columns.
                let (said, _) = text.split_once(" Valid fields are ").unwrap_or((&text, ""));
                let said = said.trim_end_matches(['.', ' ']);
                format!("{said}; `gmr fleet tables` lists the tables and their columns")
            }
            // The engine does not always name the file.
            _ => self.broken().unwrap_or_else(|| text_of(error)),
        }
    }

    /// The first file that can't be read.
    fn broken(&self) -> Option<String> {
        let mut files = self.batches.iter().flat_map(|place| Name::ALL.map(|name| place.file(name.table())));
        files.find_map(|file| {
            let read = store::read(&*self.storage, &file, None, |_| ());
            read.err().map(|reason| remedy(&*self.storage, &file, &reason))
        })
    }
}

/// Adds what to do about a file that can't be read.
fn remedy(storage: &dyn Storage, file: &str, reason: &str) -> String {
    let folder = storage.name_of(file.rsplit_once('/').map_or("", |(folder, _)| folder));
    format!("{reason}; move {folder} away to go on without its reports")
}

/// The batches that are asked, once all of their files are there.
fn batches(storage: &dyn Storage, from: &From) -> Result<Vec<Place>, String> {
    let shown = &from.tables;
    let mut batches = storage.batches("")?;
    if batches.is_empty() {
        let what = if has_json(shown) {
            format!("it has JSON, and if these are reports, `gmr ship {shown} TABLES` makes tables of them")
        } else {
            format!("`gmr ship REPORTS {shown}` writes them")
        };
        return Err(format!("there are no tables in {shown}; {what}"));
    }
    let of = |part: fn(&Place) -> &str| -> BTreeSet<String> {
        batches.iter().map(|place| part(place).to_owned()).collect()
    };
    let (services, dates) = (of(Place::service), of(Place::date));
    batches.retain(|place| {
        from.service.as_deref().is_none_or(|wanted| wanted == place.service())
            && from.date.as_ref().is_none_or(|dates| dates.have(place.date()))
    });
    if batches.is_empty() {
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        let time = match (dates.first(), dates.last()) {
            (Some(first), Some(last)) if first != last => format!("from {first} to {last}"),
            (date, _) => format!("of {}", date.map_or("no date", String::as_str)),
        };
        return Err(format!("there are no such reports in {shown}; it has those of {services}, {time}"));
    }
    storage.check(&batches).map_err(|Broken { file, reason }| match file {
        Some(file) => remedy(storage, &file, &reason),
        None => reason,
    })?;
    Ok(batches)
}

/// Whether it is a folder with files of JSON: reports, instead of tables made from them.
fn has_json(location: &Location) -> bool {
    let Location::Folder(path) = location else { return false };
    let mut entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
}

fn session(asked: Asked, bytes: usize) -> Result<SessionContext, DataFusionError> {
    let mut config =
        SessionConfig::new().with_target_partitions(threads::count()).with_information_schema(true);
    // A batch is a folder below the date.
    config.options_mut().execution.listing_table_ignore_subdirectory = false;
    let pool = Arc::new(FairSpillPool::new(bytes));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    let session = SessionContext::new_with_config_rt(config, runtime);
    session.register_object_store(ListingTableUrl::parse(URL)?.object_store().as_ref(), Arc::new(asked));
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
