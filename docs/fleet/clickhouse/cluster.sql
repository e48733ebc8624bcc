-- The tables of all servers of a cluster, which is called `default` here: run `tables.sql` and this on each
-- of them. A report is on one shard with all that belongs to it. What is taken in goes to the tables whose
-- names begin with `taken_`.
CREATE DATABASE IF NOT EXISTS gmr_all;

CREATE TABLE gmr_all.taken_reports AS gmr.taken_reports
ENGINE = Distributed('default', 'gmr', 'taken_reports', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.reports AS gmr.reports ENGINE = Distributed('default', 'gmr', 'reports');
CREATE TABLE gmr_all.taken_threads AS gmr.taken_threads
ENGINE = Distributed('default', 'gmr', 'taken_threads', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.threads AS gmr.threads ENGINE = Distributed('default', 'gmr', 'threads');
CREATE TABLE gmr_all.taken_tasks AS gmr.taken_tasks
ENGINE = Distributed('default', 'gmr', 'taken_tasks', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.tasks AS gmr.tasks ENGINE = Distributed('default', 'gmr', 'tasks');
CREATE TABLE gmr_all.taken_spans AS gmr.taken_spans
ENGINE = Distributed('default', 'gmr', 'taken_spans', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.spans AS gmr.spans ENGINE = Distributed('default', 'gmr', 'spans');
CREATE TABLE gmr_all.taken_findings AS gmr.taken_findings
ENGINE = Distributed('default', 'gmr', 'taken_findings', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.findings AS gmr.findings ENGINE = Distributed('default', 'gmr', 'findings');
CREATE TABLE gmr_all.taken_resources AS gmr.taken_resources
ENGINE = Distributed('default', 'gmr', 'taken_resources', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.resources AS gmr.resources ENGINE = Distributed('default', 'gmr', 'resources');
CREATE TABLE gmr_all.taken_sections AS gmr.taken_sections
ENGINE = Distributed('default', 'gmr', 'taken_sections', cityHash64(assumeNotNull(report_id)));
CREATE TABLE gmr_all.sections AS gmr.sections ENGINE = Distributed('default', 'gmr', 'sections');
CREATE TABLE gmr_all.taken_stacks AS gmr.taken_stacks
ENGINE = Distributed('default', 'gmr', 'taken_stacks', cityHash64(assumeNotNull(stack_id)));
CREATE TABLE gmr_all.all_stacks AS gmr.all_stacks ENGINE = Distributed('default', 'gmr', 'all_stacks');
CREATE TABLE gmr_all.taken_places AS gmr.taken_places
ENGINE = Distributed('default', 'gmr', 'taken_places', cityHash64(assumeNotNull(place_id)));
CREATE TABLE gmr_all.all_places AS gmr.all_places ENGINE = Distributed('default', 'gmr', 'all_places');
