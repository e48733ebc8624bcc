-- Where does everybody wait? Each place with how many processes, hosts, and threads or tasks are at it,
-- those in most processes first, and threads of pools that wait for work last.
SELECT kind, functions, lines, idle, processes, hosts, count, place_id
FROM (
    SELECT place_id, min(at_places.idle) AS idle, count() AS processes, uniqExact(host) AS hosts,
        sum(at_places.count) AS count
    FROM at_places JOIN latest USING (report_id) GROUP BY place_id
) AS here JOIN places USING (place_id)
ORDER BY idle, processes DESC, count DESC, place_id;
