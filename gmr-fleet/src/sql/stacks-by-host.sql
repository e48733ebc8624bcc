-- On which hosts is each place?
SELECT place_id, host, count(DISTINCT report_id) AS processes, count(*) AS count
FROM at_places GROUP BY place_id, host
ORDER BY place_id, processes DESC, host;
