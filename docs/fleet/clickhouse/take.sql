-- Takes new batches in, every five minutes, by a materialized view for each table. Use the database first
-- that has the tables: `gmr`, or on one server of a cluster `gmr_all`.
--
-- No answer has a part of a report. A report counts once it is in `reports`, which is taken last: after all
-- others, and only what has been there for ten minutes, which the others have seen before. Until then they
-- take it again, which changes nothing. `system.view_refreshes` shows what fails.
CREATE OR REPLACE VIEW new_batches AS
SELECT DISTINCT batch FROM files.reports WHERE batch NOT IN (SELECT batch FROM taken_reports);

CREATE MATERIALIZED VIEW take_threads REFRESH EVERY 5 MINUTE APPEND TO taken_threads EMPTY
AS SELECT * FROM files.threads WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_tasks REFRESH EVERY 5 MINUTE APPEND TO taken_tasks EMPTY
AS SELECT * FROM files.tasks WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_spans REFRESH EVERY 5 MINUTE APPEND TO taken_spans EMPTY
AS SELECT * FROM files.spans WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_findings REFRESH EVERY 5 MINUTE APPEND TO taken_findings EMPTY
AS SELECT * FROM files.findings WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_resources REFRESH EVERY 5 MINUTE APPEND TO taken_resources EMPTY
AS SELECT * FROM files.resources WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_sections REFRESH EVERY 5 MINUTE APPEND TO taken_sections EMPTY
AS SELECT * FROM files.sections WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_stacks REFRESH EVERY 5 MINUTE APPEND TO taken_stacks EMPTY
AS SELECT * FROM files.all_stacks WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_places REFRESH EVERY 5 MINUTE APPEND TO taken_places EMPTY
AS SELECT * FROM files.all_places WHERE batch IN (SELECT batch FROM new_batches);
CREATE MATERIALIZED VIEW take_reports REFRESH EVERY 5 MINUTE
DEPENDS ON take_threads, take_tasks, take_spans, take_findings, take_resources, take_sections, take_stacks,
    take_places
APPEND TO taken_reports EMPTY
AS SELECT * FROM files.reports
WHERE batch IN (SELECT batch FROM new_batches) AND written_at < now() - INTERVAL 10 MINUTE;
