//! A view that is computed once, when a query first needs it, and then kept in memory. It knows
//! nothing of what the view is of.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::{ExecutionPlan, collect_partitioned};
use tokio::sync::OnceCell;

/// The engine computes a view each time that a query names it, also where one query names it several
/// times.
#[derive(Debug)]
pub(super) struct Once {
    view: Arc<dyn TableProvider>,
    rows: OnceCell<MemTable>,
}

impl Once {
    pub(super) fn new(view: Arc<dyn TableProvider>) -> Self {
        Self { view, rows: OnceCell::new() }
    }
}

#[async_trait]
impl TableProvider for Once {
    fn schema(&self) -> SchemaRef {
        self.view.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.get_or_try_init(|| async {
            let plan = self.view.scan(state, None, &[], None).await?;
            MemTable::try_new(self.schema(), collect_partitioned(plan, state.task_ctx()).await?)
        });
        rows.await?.scan(state, projection, filters, limit).await
    }
}
