-- Where does everybody wait? Each place with how many processes, hosts, and threads or tasks are at it,
-- those in most processes first, and threads of pools that wait for work last.
SELECT kind, functions, idle, processes, hosts, count, place_id
FROM (
    SELECT place_id, bool_and(idle) AS idle, count(DISTINCT report_id) AS processes,
        count(DISTINCT host) AS hosts, count(*) AS count
    FROM at_places GROUP BY place_id
) JOIN places USING (place_id)
ORDER BY idle, processes DESC, count DESC, place_id;
