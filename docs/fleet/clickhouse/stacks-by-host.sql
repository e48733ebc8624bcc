-- On which hosts is each place?
SELECT place_id, host, count() AS processes, sum(at_places.count) AS count
FROM at_places JOIN latest USING (report_id) GROUP BY place_id, host
ORDER BY place_id, processes DESC, host;
