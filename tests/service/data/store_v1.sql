BEGIN TRANSACTION;
CREATE TABLE adaptations (
	message_id INTEGER NOT NULL, 
	adaptation_id VARCHAR(64) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	"trigger" VARCHAR(16) NOT NULL, 
	mode VARCHAR(64) NOT NULL, 
	window INTEGER NOT NULL, 
	loss FLOAT, 
	duration_s FLOAT, 
	total_bytes INTEGER, 
	l2_bytes INTEGER, 
	from_version INTEGER NOT NULL, 
	to_version INTEGER, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "adaptations" VALUES(16,'adapt-16','started','drift','full',120,NULL,NULL,NULL,NULL,1,NULL);
INSERT INTO "adaptations" VALUES(18,'adapt-16','progress','drift','full',130,2.10000000000000019984e-01,NULL,NULL,NULL,1,NULL);
INSERT INTO "adaptations" VALUES(20,'adapt-16','progress','drift','full',140,1.05000000000000009992e-01,NULL,NULL,NULL,1,NULL);
INSERT INTO "adaptations" VALUES(22,'adapt-16','progress','drift','full',150,0.07,NULL,NULL,NULL,1,NULL);
INSERT INTO "adaptations" VALUES(23,'adapt-16','committed','drift','full',150,0.07,14.2,83412,125320,1,2);
INSERT INTO "adaptations" VALUES(25,'adapt-27','started','drift','full',150,NULL,NULL,NULL,NULL,2,NULL);
INSERT INTO "adaptations" VALUES(27,'adapt-27','progress','drift','full',160,2.10000000000000019984e-01,NULL,NULL,NULL,2,NULL);
INSERT INTO "adaptations" VALUES(29,'adapt-27','progress','drift','full',170,1.05000000000000009992e-01,NULL,NULL,NULL,2,NULL);
INSERT INTO "adaptations" VALUES(31,'adapt-27','progress','drift','full',180,0.07,NULL,NULL,NULL,2,NULL);
INSERT INTO "adaptations" VALUES(32,'adapt-27','rolled_back','drift','full',180,0.07,14.2,83412,125320,2,NULL);
CREATE TABLE alerts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	alert_id VARCHAR(64) NOT NULL, 
	rule VARCHAR(64) NOT NULL, 
	severity VARCHAR(64) NOT NULL, 
	time DATETIME NOT NULL, 
	payload TEXT NOT NULL, 
	published BOOLEAN NOT NULL, 
	CONSTRAINT alerts_once UNIQUE (site, device, alert_id)
);
INSERT INTO "alerts" VALUES(1,'lab','band-1','drift-1-15','drift','warning','2026-03-02 09:04:00.150000','{"schema":"biotrain.alert/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:00.150000Z","alert_id":"drift-1-15","rule":"drift","severity":"warning","wearer":"U1","message":"The signal has drifted since window 70 (page-hinkley on error): accuracy fell from 91% to 55%","boot":1,"seq":15,"window":120}',1);
INSERT INTO "alerts" VALUES(2,'lab','band-1','sensor-fault-1-24','sensor_fault','warning','2026-03-02 09:05:00.240000','{"schema":"biotrain.alert/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.240000Z","alert_id":"sensor-fault-1-24","rule":"sensor_fault","severity":"warning","wearer":"U1","message":"Flat line on ch2: no change for 1.2 s","boot":1,"seq":24,"window":150}',0);
INSERT INTO "alerts" VALUES(3,'lab','band-1','adaptation-rolled-back-1-34','adaptation_rolled_back','warning','2026-03-02 09:06:00.320000','{"schema":"biotrain.alert/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.320000Z","alert_id":"adaptation-rolled-back-1-34","rule":"adaptation_rolled_back","severity":"warning","wearer":"U1","message":"Adaptation adapt-27 was rolled back: not better on the held-out windows (21 of 40 right, 22 before)","boot":1,"seq":34,"window":180}',0);
CREATE TABLE boots (
	site VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	boot INTEGER NOT NULL, 
	last_seq INTEGER NOT NULL, 
	told DATETIME NOT NULL, 
	PRIMARY KEY (site, device, boot)
);
INSERT INTO "boots" VALUES('lab','band-1',1,35,'2026-03-02 09:06:00.330000');
CREATE TABLE commands (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	command_id VARCHAR(64) NOT NULL, 
	verb VARCHAR(64) NOT NULL, 
	time DATETIME NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	detail VARCHAR(500) NOT NULL, 
	answered DATETIME, 
	payload TEXT NOT NULL, 
	CONSTRAINT commands_once UNIQUE (site, device, command_id)
);
INSERT INTO "commands" VALUES(1,'lab','band-1','ping-1','ping','2026-03-02 10:00:00.000000','sent','',NULL,'{"schema":"biotrain.command/1","site":"lab","device":"band-1","time":"2026-03-02T10:00:00Z","command_id":"ping-1","verb":"ping","issued_by":""}');
CREATE TABLE devices (
	site VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	first_seen DATETIME NOT NULL, 
	last_seen DATETIME NOT NULL, 
	connected BOOLEAN NOT NULL, 
	boot INTEGER NOT NULL, 
	wearer VARCHAR(64), 
	state TEXT, 
	state_boot INTEGER NOT NULL, 
	state_seq INTEGER NOT NULL, 
	health TEXT, 
	PRIMARY KEY (site, device)
);
INSERT INTO "devices" VALUES('lab','band-1','2026-03-02 10:00:00.000000','2026-03-02 12:40:00.000000',1,1,'U1','{"schema":"biotrain.state/1","site":"lab","device":"band-1","time":"2026-03-02T09:00:00.010000Z","wearer":"U1","boot":1,"seq":1,"state":"online","detail":"","model":"epidenet-2x1000","classes":["rest","left","right"],"weights_version":1}',1,1,'{"schema":"biotrain.health/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.330000Z","wearer":"U1","boot":1,"seq":35,"uptime_s":180.0,"last_seq":35,"outbox":0,"wearable":{"connected":true,"firmware":"0.1.0","boot":1,"uptime_s":0.0,"weights_version":2,"l2_peak_bytes":0,"ring_windows":0,"events_pending":0,"frames_corrupt":0}}');
INSERT INTO "devices" VALUES('lab','band-2','2026-03-02 12:45:00.000000','2026-03-02 12:55:00.000000',1,3,'U1',NULL,0,0,NULL);
CREATE TABLE drift_alerts (
	message_id INTEGER NOT NULL, 
	alert_id VARCHAR(64) NOT NULL, 
	window INTEGER NOT NULL, 
	since_window INTEGER NOT NULL, 
	evidence JSON NOT NULL, 
	accuracy_reference FLOAT, 
	accuracy_recent FLOAT, 
	weights_version INTEGER NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "drift_alerts" VALUES(15,'drift-15',120,70,'[{"detector": "page-hinkley", "watches": "error", "statistic": 12.5, "threshold": 12.0, "fired": true}]',0.91,0.55,1);
CREATE TABLE faults (
	message_id INTEGER NOT NULL, 
	fault VARCHAR(32) NOT NULL, 
	active BOOLEAN NOT NULL, 
	window INTEGER NOT NULL, 
	channels JSON NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "faults" VALUES(24,'flat_line',1,150,'["ch2"]');
CREATE TABLE health (
	message_id INTEGER NOT NULL, 
	uptime_s FLOAT NOT NULL, 
	last_seq INTEGER NOT NULL, 
	outbox INTEGER NOT NULL, 
	wearable_connected BOOLEAN NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "health" VALUES(12,100.0,12,0,1);
INSERT INTO "health" VALUES(33,180.0,35,0,1);
CREATE TABLE hook_runs (
	alert INTEGER NOT NULL, 
	hook VARCHAR(200) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	duration_s FLOAT, 
	detail VARCHAR(500) NOT NULL, 
	PRIMARY KEY (alert, hook), 
	FOREIGN KEY(alert) REFERENCES alerts (id) ON DELETE CASCADE
);
INSERT INTO "hook_runs" VALUES(1,'my_hooks:note','done',0.5,'');
INSERT INTO "hook_runs" VALUES(2,'my_hooks:note','pending',NULL,'');
INSERT INTO "hook_runs" VALUES(3,'my_hooks:note','pending',NULL,'');
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	boot INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	wearer VARCHAR(64), 
	time DATETIME NOT NULL, 
	received DATETIME NOT NULL, 
	payload TEXT NOT NULL, 
	CONSTRAINT messages_once UNIQUE (site, device, boot, seq)
);
INSERT INTO "messages" VALUES(1,'lab','band-1',1,1,'state','U1','2026-03-02 09:00:00.010000','2026-03-02 10:00:00.000000','{"schema":"biotrain.state/1","site":"lab","device":"band-1","time":"2026-03-02T09:00:00.010000Z","wearer":"U1","boot":1,"seq":1,"state":"online","detail":"","model":"epidenet-2x1000","classes":["rest","left","right"],"weights_version":1}');
INSERT INTO "messages" VALUES(2,'lab','band-1',1,2,'telemetry','U1','2026-03-02 09:00:20.020000','2026-03-02 10:05:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:00:20.020000Z","wearer":"U1","boot":1,"seq":2,"period_s":20.0,"first_window":0,"last_window":9,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":9,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(3,'lab','band-1',1,3,'telemetry','U1','2026-03-02 09:00:40.030000','2026-03-02 10:10:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:00:40.030000Z","wearer":"U1","boot":1,"seq":3,"period_s":20.0,"first_window":10,"last_window":19,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":9,"frozen_correct":10,"error_rate":0.1,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(4,'lab','band-1',1,4,'telemetry','U1','2026-03-02 09:01:00.040000','2026-03-02 10:15:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:01:00.040000Z","wearer":"U1","boot":1,"seq":4,"period_s":20.0,"first_window":20,"last_window":29,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":9,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(5,'lab','band-1',1,5,'telemetry','U1','2026-03-02 09:01:20.050000','2026-03-02 10:20:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:01:20.050000Z","wearer":"U1","boot":1,"seq":5,"period_s":20.0,"first_window":30,"last_window":39,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":9,"frozen_correct":9,"error_rate":0.1,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(6,'lab','band-1',1,6,'telemetry','U1','2026-03-02 09:01:40.060000','2026-03-02 10:25:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:01:40.060000Z","wearer":"U1","boot":1,"seq":6,"period_s":20.0,"first_window":40,"last_window":49,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":9,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(7,'lab','band-1',1,7,'telemetry','U1','2026-03-02 09:02:00.070000','2026-03-02 10:30:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:02:00.070000Z","wearer":"U1","boot":1,"seq":7,"period_s":20.0,"first_window":50,"last_window":59,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":9,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(8,'lab','band-1',1,8,'telemetry','U1','2026-03-02 09:02:20.080000','2026-03-02 10:35:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:02:20.080000Z","wearer":"U1","boot":1,"seq":8,"period_s":20.0,"first_window":60,"last_window":69,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":10,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(9,'lab','band-1',1,9,'telemetry','U1','2026-03-02 09:02:40.090000','2026-03-02 10:40:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:02:40.090000Z","wearer":"U1","boot":1,"seq":9,"period_s":20.0,"first_window":70,"last_window":79,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":9,"frozen_correct":8,"error_rate":0.1,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(10,'lab','band-1',1,10,'telemetry','U1','2026-03-02 09:03:00.100000','2026-03-02 10:45:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:03:00.100000Z","wearer":"U1","boot":1,"seq":10,"period_s":20.0,"first_window":80,"last_window":89,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":10,"frozen_correct":9,"error_rate":0.0,"drift_statistic":0.0,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(11,'lab','band-1',1,11,'telemetry','U1','2026-03-02 09:03:20.110000','2026-03-02 10:50:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:03:20.110000Z","wearer":"U1","boot":1,"seq":11,"period_s":20.0,"first_window":90,"last_window":99,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":6,"frozen_correct":9,"error_rate":0.4,"drift_statistic":2.7,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(12,'lab','band-1',1,12,'health','U1','2026-03-02 09:03:20.120000','2026-03-02 10:55:00.000000','{"schema":"biotrain.health/1","site":"lab","device":"band-1","time":"2026-03-02T09:03:20.120000Z","wearer":"U1","boot":1,"seq":12,"uptime_s":100.0,"last_seq":12,"outbox":0,"wearable":{"connected":true,"firmware":"0.1.0","boot":1,"uptime_s":0.0,"weights_version":1,"l2_peak_bytes":0,"ring_windows":0,"events_pending":0,"frames_corrupt":0}}');
INSERT INTO "messages" VALUES(13,'lab','band-1',1,13,'telemetry','U1','2026-03-02 09:03:40.130000','2026-03-02 11:00:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:03:40.130000Z","wearer":"U1","boot":1,"seq":13,"period_s":20.0,"first_window":100,"last_window":109,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":9,"frozen_correct":7,"error_rate":0.1,"drift_statistic":2.4000000000000004,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(14,'lab','band-1',1,14,'telemetry','U1','2026-03-02 09:04:00.140000','2026-03-02 11:05:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:00.140000Z","wearer":"U1","boot":1,"seq":14,"period_s":20.0,"first_window":110,"last_window":119,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":8,"frozen_correct":9,"error_rate":0.2,"drift_statistic":3.1000000000000005,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(15,'lab','band-1',1,15,'drift','U1','2026-03-02 09:04:00.150000','2026-03-02 11:10:00.000000','{"schema":"biotrain.drift/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:00.150000Z","wearer":"U1","boot":1,"seq":15,"alert_id":"drift-15","window":120,"since_window":70,"evidence":[{"detector":"page-hinkley","watches":"error","statistic":12.5,"threshold":12.0,"fired":true}],"accuracy_reference":0.91,"accuracy_recent":0.55,"weights_version":1}');
INSERT INTO "messages" VALUES(16,'lab','band-1',1,16,'adaptation','U1','2026-03-02 09:04:00.160000','2026-03-02 11:15:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:00.160000Z","wearer":"U1","boot":1,"seq":16,"adaptation_id":"adapt-16","phase":"started","trigger":"drift","mode":"full","window":120,"step":0,"steps":30,"epoch":0,"train_windows":160,"from_version":1,"reason":""}');
INSERT INTO "messages" VALUES(17,'lab','band-1',1,17,'telemetry','U1','2026-03-02 09:04:20.170000','2026-03-02 11:20:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:20.170000Z","wearer":"U1","boot":1,"seq":17,"period_s":20.0,"first_window":120,"last_window":129,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":6,"frozen_correct":8,"error_rate":0.4,"drift_statistic":7.199999999999999,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(18,'lab','band-1',1,18,'adaptation','U1','2026-03-02 09:04:20.180000','2026-03-02 11:25:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:20.180000Z","wearer":"U1","boot":1,"seq":18,"adaptation_id":"adapt-16","phase":"progress","trigger":"drift","mode":"full","window":130,"step":10,"steps":30,"epoch":0,"loss":0.21000000000000002,"train_windows":160,"from_version":1,"reason":""}');
INSERT INTO "messages" VALUES(19,'lab','band-1',1,19,'telemetry','U1','2026-03-02 09:04:40.190000','2026-03-02 11:30:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:40.190000Z","wearer":"U1","boot":1,"seq":19,"period_s":20.0,"first_window":130,"last_window":139,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":5,"frozen_correct":4,"error_rate":0.5,"drift_statistic":7.199999999999999,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(20,'lab','band-1',1,20,'adaptation','U1','2026-03-02 09:04:40.200000','2026-03-02 11:35:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:04:40.200000Z","wearer":"U1","boot":1,"seq":20,"adaptation_id":"adapt-16","phase":"progress","trigger":"drift","mode":"full","window":140,"step":20,"steps":30,"epoch":0,"loss":0.10500000000000001,"train_windows":160,"from_version":1,"reason":""}');
INSERT INTO "messages" VALUES(21,'lab','band-1',1,21,'telemetry','U1','2026-03-02 09:05:00.210000','2026-03-02 11:40:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.210000Z","wearer":"U1","boot":1,"seq":21,"period_s":20.0,"first_window":140,"last_window":149,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":4,"frozen_correct":6,"error_rate":0.6,"drift_statistic":7.199999999999999,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(22,'lab','band-1',1,22,'adaptation','U1','2026-03-02 09:05:00.220000','2026-03-02 11:45:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.220000Z","wearer":"U1","boot":1,"seq":22,"adaptation_id":"adapt-16","phase":"progress","trigger":"drift","mode":"full","window":150,"step":30,"steps":30,"epoch":0,"loss":0.07,"train_windows":160,"from_version":1,"reason":""}');
INSERT INTO "messages" VALUES(23,'lab','band-1',1,23,'adaptation','U1','2026-03-02 09:05:00.230000','2026-03-02 11:50:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.230000Z","wearer":"U1","boot":1,"seq":23,"adaptation_id":"adapt-16","phase":"committed","trigger":"drift","mode":"full","window":150,"step":30,"steps":30,"epoch":0,"loss":0.07,"train_windows":160,"duration_s":14.2,"guard":{"held_out":40,"before_correct":22,"after_correct":36,"p_value":0.0004,"risk":0.05,"test":"mcnemar-midp-one-sided"},"memory":{"total_bytes":83412,"resident_bytes":41908,"l2_bytes":125320},"from_version":1,"to_version":2,"reason":""}');
INSERT INTO "messages" VALUES(24,'lab','band-1',1,24,'fault','U1','2026-03-02 09:05:00.240000','2026-03-02 11:55:00.000000','{"schema":"biotrain.fault/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.240000Z","wearer":"U1","boot":1,"seq":24,"fault":"flat_line","active":true,"window":150,"channels":["ch2"],"detail":"no change for 1.2 s"}');
INSERT INTO "messages" VALUES(25,'lab','band-1',1,27,'adaptation','U1','2026-03-02 09:05:00.250000','2026-03-02 12:00:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:00.250000Z","wearer":"U1","boot":1,"seq":27,"adaptation_id":"adapt-27","phase":"started","trigger":"drift","mode":"full","window":150,"step":0,"steps":30,"epoch":0,"train_windows":160,"from_version":2,"reason":""}');
INSERT INTO "messages" VALUES(26,'lab','band-1',1,28,'telemetry','U1','2026-03-02 09:05:20.260000','2026-03-02 12:05:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:20.260000Z","wearer":"U1","boot":1,"seq":28,"period_s":20.0,"first_window":150,"last_window":159,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":5,"frozen_correct":7,"error_rate":0.5,"drift_statistic":3.7,"drift_threshold":12.0,"weights_version":2,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(27,'lab','band-1',1,29,'adaptation','U1','2026-03-02 09:05:20.270000','2026-03-02 12:10:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:20.270000Z","wearer":"U1","boot":1,"seq":29,"adaptation_id":"adapt-27","phase":"progress","trigger":"drift","mode":"full","window":160,"step":10,"steps":30,"epoch":0,"loss":0.21000000000000002,"train_windows":160,"from_version":2,"reason":""}');
INSERT INTO "messages" VALUES(28,'lab','band-1',1,30,'telemetry','U1','2026-03-02 09:05:40.280000','2026-03-02 12:15:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:40.280000Z","wearer":"U1","boot":1,"seq":30,"period_s":20.0,"first_window":160,"last_window":169,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":5,"frozen_correct":7,"error_rate":0.5,"drift_statistic":7.199999999999999,"drift_threshold":12.0,"weights_version":2,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(29,'lab','band-1',1,31,'adaptation','U1','2026-03-02 09:05:40.290000','2026-03-02 12:20:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:05:40.290000Z","wearer":"U1","boot":1,"seq":31,"adaptation_id":"adapt-27","phase":"progress","trigger":"drift","mode":"full","window":170,"step":20,"steps":30,"epoch":0,"loss":0.10500000000000001,"train_windows":160,"from_version":2,"reason":""}');
INSERT INTO "messages" VALUES(30,'lab','band-1',1,32,'telemetry','U1','2026-03-02 09:06:00.300000','2026-03-02 12:25:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.300000Z","wearer":"U1","boot":1,"seq":32,"period_s":20.0,"first_window":170,"last_window":179,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":5,"frozen_correct":4,"error_rate":0.5,"drift_statistic":7.199999999999999,"drift_threshold":12.0,"weights_version":2,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(31,'lab','band-1',1,33,'adaptation','U1','2026-03-02 09:06:00.310000','2026-03-02 12:30:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.310000Z","wearer":"U1","boot":1,"seq":33,"adaptation_id":"adapt-27","phase":"progress","trigger":"drift","mode":"full","window":180,"step":30,"steps":30,"epoch":0,"loss":0.07,"train_windows":160,"from_version":2,"reason":""}');
INSERT INTO "messages" VALUES(32,'lab','band-1',1,34,'adaptation','U1','2026-03-02 09:06:00.320000','2026-03-02 12:35:00.000000','{"schema":"biotrain.adaptation/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.320000Z","wearer":"U1","boot":1,"seq":34,"adaptation_id":"adapt-27","phase":"rolled_back","trigger":"drift","mode":"full","window":180,"step":30,"steps":30,"epoch":0,"loss":0.07,"train_windows":160,"duration_s":14.2,"guard":{"held_out":40,"before_correct":22,"after_correct":21,"p_value":0.73,"risk":0.05,"test":"mcnemar-midp-one-sided"},"memory":{"total_bytes":83412,"resident_bytes":41908,"l2_bytes":125320},"from_version":2,"reason":"not better on the held-out windows (21 of 40 right, 22 before)"}');
INSERT INTO "messages" VALUES(33,'lab','band-1',1,35,'health','U1','2026-03-02 09:06:00.330000','2026-03-02 12:40:00.000000','{"schema":"biotrain.health/1","site":"lab","device":"band-1","time":"2026-03-02T09:06:00.330000Z","wearer":"U1","boot":1,"seq":35,"uptime_s":180.0,"last_seq":35,"outbox":0,"wearable":{"connected":true,"firmware":"0.1.0","boot":1,"uptime_s":0.0,"weights_version":2,"l2_peak_bytes":0,"ring_windows":0,"events_pending":0,"frames_corrupt":0}}');
INSERT INTO "messages" VALUES(34,'lab','band-2',3,1,'telemetry','U1','2026-03-02 09:00:20.010000','2026-03-02 12:45:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-2","time":"2026-03-02T09:00:20.010000Z","wearer":"U1","boot":3,"seq":1,"period_s":20.0,"first_window":0,"last_window":9,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":8,"frozen_correct":6,"error_rate":0.2,"drift_statistic":0.7,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(35,'lab','band-2',3,2,'telemetry','U1','2026-03-02 09:00:40.020000','2026-03-02 12:50:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-2","time":"2026-03-02T09:00:40.020000Z","wearer":"U1","boot":3,"seq":2,"period_s":20.0,"first_window":10,"last_window":19,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":8,"frozen_correct":5,"error_rate":0.2,"drift_statistic":1.4000000000000001,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
INSERT INTO "messages" VALUES(36,'lab','band-2',3,3,'telemetry','U1','2026-03-02 09:01:00.030000','2026-03-02 12:55:00.000000','{"schema":"biotrain.telemetry/1","site":"lab","device":"band-2","time":"2026-03-02T09:01:00.030000Z","wearer":"U1","boot":3,"seq":3,"period_s":20.0,"first_window":20,"last_window":29,"windows":10,"windows_dropped":0,"windows_faulty":0,"labelled":10,"correct":9,"frozen_correct":9,"error_rate":0.1,"drift_statistic":1.1000000000000003,"drift_threshold":12.0,"weights_version":1,"latency":{"p50_ms":3.1,"p99_ms":6.0,"max_ms":8.4},"predicted_classes":{}}');
CREATE TABLE quarantine (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	topic TEXT NOT NULL, 
	received DATETIME NOT NULL, 
	reason TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	size INTEGER NOT NULL
);
INSERT INTO "quarantine" VALUES(1,'biotrain/v1/lab/band-1/telemetry','2026-03-02 10:00:00.000000','Invalid JSON',X'FF6E6F74206A736F6E',9);
CREATE TABLE replies (
	message_id INTEGER NOT NULL, 
	command_id VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
CREATE TABLE states (
	message_id INTEGER NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	weights_version INTEGER, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "states" VALUES(1,'online',1);
CREATE TABLE telemetry (
	message_id INTEGER NOT NULL, 
	first_window INTEGER NOT NULL, 
	last_window INTEGER NOT NULL, 
	windows INTEGER NOT NULL, 
	windows_dropped INTEGER NOT NULL, 
	windows_faulty INTEGER NOT NULL, 
	labelled INTEGER NOT NULL, 
	correct INTEGER NOT NULL, 
	frozen_correct INTEGER, 
	error_rate FLOAT, 
	drift_statistic FLOAT, 
	drift_threshold FLOAT, 
	weights_version INTEGER NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "telemetry" VALUES(2,0,9,10,0,0,10,10,9,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(3,10,19,10,0,0,10,9,10,0.1,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(4,20,29,10,0,0,10,10,9,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(5,30,39,10,0,0,10,9,9,0.1,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(6,40,49,10,0,0,10,10,9,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(7,50,59,10,0,0,10,10,9,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(8,60,69,10,0,0,10,10,10,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(9,70,79,10,0,0,10,9,8,0.1,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(10,80,89,10,0,0,10,10,9,0.0,0.0,12.0,1);
INSERT INTO "telemetry" VALUES(11,90,99,10,0,0,10,6,9,0.4,2.7,12.0,1);
INSERT INTO "telemetry" VALUES(13,100,109,10,0,0,10,9,7,0.1,2.40000000000000035527e+00,12.0,1);
INSERT INTO "telemetry" VALUES(14,110,119,10,0,0,10,8,9,0.2,3.1000000000000005329e+00,12.0,1);
INSERT INTO "telemetry" VALUES(17,120,129,10,0,0,10,6,8,0.4,7.19999999999999928945e+00,12.0,1);
INSERT INTO "telemetry" VALUES(19,130,139,10,0,0,10,5,4,0.5,7.19999999999999928945e+00,12.0,1);
INSERT INTO "telemetry" VALUES(21,140,149,10,0,0,10,4,6,0.6,7.19999999999999928945e+00,12.0,1);
INSERT INTO "telemetry" VALUES(26,150,159,10,0,0,10,5,7,0.5,3.7,12.0,2);
INSERT INTO "telemetry" VALUES(28,160,169,10,0,0,10,5,7,0.5,7.19999999999999928945e+00,12.0,2);
INSERT INTO "telemetry" VALUES(30,170,179,10,0,0,10,5,4,0.5,7.19999999999999928945e+00,12.0,2);
INSERT INTO "telemetry" VALUES(34,0,9,10,0,0,10,8,6,0.2,0.7,12.0,1);
INSERT INTO "telemetry" VALUES(35,10,19,10,0,0,10,8,5,0.2,1.40000000000000013322e+00,12.0,1);
INSERT INTO "telemetry" VALUES(36,20,29,10,0,0,10,9,9,0.1,1.10000000000000031086e+00,12.0,1);
CREATE INDEX messages_by_kind ON messages (site, device, kind, id);
CREATE INDEX ix_adaptations_adaptation_id ON adaptations (adaptation_id);
CREATE INDEX ix_replies_command_id ON replies (command_id);
CREATE INDEX hook_runs_by_status ON hook_runs (status);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',36);
INSERT INTO "sqlite_sequence" VALUES('alerts',3);
INSERT INTO "sqlite_sequence" VALUES('quarantine',1);
INSERT INTO "sqlite_sequence" VALUES('commands',1);
COMMIT;
PRAGMA user_version=1;
