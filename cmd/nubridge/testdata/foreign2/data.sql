insert into "WMS"."SizeScale" values ('SML ','S','M','L',null,null,null),('NUM','30','32','34','36',null,null);
insert into "WMS"."Style"("Division","Style","Descr","Season","Scale","Prices") select 1, 'ST-'||g, 'Style '||g, 'F26', case g%2 when 0 then 'SML' else 'NUM' end, jsonb_build_object('USD',jsonb_build_object('ws',10.5+g,'msrp',30+g),'EUR',jsonb_build_object('ws',9+g,'msrp',28+g)) from generate_series(1,6) g;
insert into "WMS"."StyleColor"("Division","Style","Color","Color Name","Launch") select "Division","Style",c,n,'2026-10-01' from "WMS"."Style", (values ('RED','Red'),('BL|U','Blue | dark')) x(c,n);
insert into "WMS"."Attr" select "Division","Style",'fabric','cotton' from "WMS"."Style";
insert into "WMS"."Attr" select "Division","Style",'category','Tops' from "WMS"."Style" where "Style"<'ST-4';
insert into "WMS"."UpcRun" select "Division","Style","Color", 4000000000000+n*10, 4000000000001+n*10,4000000000002+n*10,4000000000003+n*10,null,null from (select *, row_number() over (order by "Style","Color") n from "WMS"."StyleColor") x;
insert into "WMS"."OnHand" select "Division","Style","Color",'NYC',10,-3,5,2,null,null,'{"2": 1}' from "WMS"."StyleColor";
insert into "WMS"."PO" select 'PO'||(row_number() over ()), 1, "Division","Style","Color",'NYC', case when "Color"='RED' then timestamptz '2026-10-01 23:30-05' else '2027-01-15 12:00Z' end, 'N', 5,5,5,5,null,null,'{1,2}' from "WMS"."StyleColor";
insert into crm."Terms" values (1,'{"en":"Net 30"}'),(2,'{"en":"Net 60"}');
insert into crm."CustomerVersion" values
 ('C1',1,'Old name','{USD}',2.5,100.00,'A','{}',1,null),
 ('C1',2,'Shop One','{USD,EUR}',2.5,100.00,'A',array[row('B','1 Main St','Town','12345','US',null)::crm.addr,row('S','2 "Side" St, rear','Town','12345','US','dock')::crm.addr],1,'r@x'),
 ('C2',1,'Shop Two','{EUR}',null,0,'A',array[row('B','3 Rue','Paris','75','FR',null)::crm.addr],2,null),
 ('C3',1,'Closed','{USD}',0,0,'X',array[row('B','3 Rue','Paris','75','FR',null)::crm.addr],2,null);
insert into "WMS"."OrderRow"("Doc","Row","IsHeader","Cust","State","Entered","From","To","Po","Ext","Curr","Memo","Extra") values
 (7001,0,true,'C1','OPEN',current_date,current_date+10,current_date+40,'P1',null,'USD','memo','{"event":"Fair"}'),(7002,0,true,'C2','OPEN',current_date,current_date+10,current_date+40,'P2',null,'EUR',null,null);
insert into "WMS"."OrderRow"("Doc","Row","IsHeader","Div","Sty","Col","Whse","Size","Qty","Price") values
 (7001,1,false,1,'ST-2','RED','NYC','S',2,'$12.50'),(7001,2,false,1,'ST-2','RED','NYC','M',3,'$12.50'),(7001,3,false,1,'ST-4','RED','NYC','M',1,'$14.50'),
 (7002,1,false,1,'ST-3','BL|U','NYC','32',2,'$11.00');
insert into "WMS"."Inv" values (1,7001,'2026-11-20','{"no":["1Z9","1Z8"]}','[{"row":1,"qty":1}]');
