-- Tables for what ClickHouse takes in, with the columns that the files have (`s3.sql` or `files.sql` first).
-- What was taken in twice is there once: FINAL leaves one row of each key. A partition is a date, so that
-- `ALTER TABLE .. DROP PARTITION` forgets one.
CREATE DATABASE IF NOT EXISTS gmr;

CREATE TABLE gmr.taken_reports
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.reports;
CREATE OR REPLACE VIEW gmr.reports AS SELECT * FROM gmr.taken_reports FINAL;
CREATE TABLE gmr.taken_threads
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, section, position)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.threads;
CREATE OR REPLACE VIEW gmr.threads AS SELECT * FROM gmr.taken_threads FINAL;
CREATE TABLE gmr.taken_tasks
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, section, position)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.tasks;
CREATE OR REPLACE VIEW gmr.tasks AS SELECT * FROM gmr.taken_tasks FINAL;
CREATE TABLE gmr.taken_spans
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, section, position)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.spans;
CREATE OR REPLACE VIEW gmr.spans AS SELECT * FROM gmr.taken_spans FINAL;
CREATE TABLE gmr.taken_findings
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, position)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.findings;
CREATE OR REPLACE VIEW gmr.findings AS SELECT * FROM gmr.taken_findings FINAL;
CREATE TABLE gmr.taken_resources
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, section)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.resources;
CREATE OR REPLACE VIEW gmr.resources AS SELECT * FROM gmr.taken_resources FINAL;
CREATE TABLE gmr.taken_sections
ENGINE = ReplacingMergeTree PARTITION BY date ORDER BY (report_id, position)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.sections;
CREATE OR REPLACE VIEW gmr.sections AS SELECT * FROM gmr.taken_sections FINAL;
CREATE TABLE gmr.taken_stacks
ENGINE = ReplacingMergeTree ORDER BY (stack_id)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.all_stacks;
CREATE OR REPLACE VIEW gmr.all_stacks AS SELECT * FROM gmr.taken_stacks FINAL;
CREATE TABLE gmr.taken_places
ENGINE = ReplacingMergeTree ORDER BY (place_id, lines)
SETTINGS allow_nullable_key = 1 EMPTY AS SELECT * FROM files.all_places;
CREATE OR REPLACE VIEW gmr.all_places AS SELECT * FROM gmr.taken_places FINAL;
