#!/usr/bin/env python3
# Fake of the B2 native API v1, enough for kopia 0.23.1. What it stores is in memory, and in the
# file $FAKE_STATE, if that is set, for the next start.
# Usage: b2.py PORT BUCKET KEYID KEY [PUBLIC_BASE_URL]
import os,sys;sys.dont_write_bytecode=True
import json,time,hashlib,base64,threading
from journal import Journal
from http.server import ThreadingHTTPServer,BaseHTTPRequestHandler
from urllib.parse import unquote_plus,quote_plus,unquote
PORT=int(sys.argv[1]);BUCKET,KEYID,KEY=sys.argv[2:5]
BASE=sys.argv[5] if len(sys.argv)>5 else f"http://127.0.0.1:{PORT}";ACC="acc123";BID="bucket123";L=threading.RLock();V={};J=Journal(os.environ.get("FAKE_STATE"))
def now(): return int(time.time()*1000)
def apply(f): V.setdefault(f["fileName"],[]).append(f)
for f in J.records: apply(f)
N=[len(J.records)]
def keep(f): apply(f);J.add(f)
class H(BaseHTTPRequestHandler):
    protocol_version="HTTP/1.1";disable_nagle_algorithm=True # heads and bodies are sent apart
    def log_message(s,*a): pass
    def out(s,code,obj=None,body=None,hd={}):
        b=body if body is not None else json.dumps(obj).encode()
        s.send_response(code)
        if body is None: s.send_header("Content-Type","application/json")
        for k,v in hd.items(): s.send_header(k,v)
        s.send_header("Content-Length",str(len(b)));s.end_headers()
        if s.command!="HEAD": s.wfile.write(b)
    def base(s): # a proxy on this machine stays in between
        h=s.headers.get("Host") or "";return "http://"+h if h.startswith("127.0.0.1") else BASE
    def err(s,st,code,msg): s.out(st,{"status":st,"code":code,"message":msg})
    def meta(s,f): return {k:f[k] for k in("fileId","fileName","accountId","bucketId","contentLength","contentSha1","contentType","fileInfo","action","uploadTimestamp")}
    def do_GET(s):
        p=s.path.split("?")[0]
        if p.endswith("/b2_authorize_account"):
            if s.headers.get("Authorization")!="Basic "+base64.b64encode(f"{KEYID}:{KEY}".encode()).decode(): return s.err(401,"unauthorized","")
            b=s.base();return s.out(200,{"accountId":ACC,"apiUrl":b,"downloadUrl":b,"authorizationToken":"tok","allowed":{"capabilities":["listBuckets","listFiles","readFiles","writeFiles","deleteFiles"],"bucketId":None,"namePrefix":None},"recommendedPartSize":100000000,"absoluteMinimumPartSize":5000000})
        pre=f"/file/{BUCKET}/"
        if p.startswith(pre):
            n=unquote(p[len(pre):])
            with L: vs=V.get(n);f=vs[-1] if vs and vs[-1]["action"]=="upload" else None
            if not f: return s.err(404,"not_found",f"File with such name does not exist. {n}")
            d=f["data"];hd={"X-Bz-File-Id":f["fileId"],"X-Bz-File-Name":quote_plus(n),"X-Bz-Content-Sha1":f["contentSha1"],"X-Bz-Upload-Timestamp":str(f["uploadTimestamp"]),"Content-Type":f["contentType"],"Accept-Ranges":"bytes"}
            for k,v in f["fileInfo"].items(): hd["X-Bz-Info-"+k]=quote_plus(v)
            r=s.headers.get("Range")
            if r:
                a,b=r[6:].split("-");a=int(a);b=int(b) if b else len(d)-1
                if a>=len(d): return s.err(416,"range_not_satisfiable","The Range in the request is outside the size of the file")
                b=min(b,len(d)-1);hd["Content-Range"]=f"bytes {a}-{b}/{len(d)}";return s.out(206,body=d[a:b+1],hd=hd)
            return s.out(200,body=d,hd=hd)
        s.err(404,"not_found",p)
    def do_POST(s):
        body=s.rfile.read(int(s.headers.get("Content-Length",0)));p=s.path
        if p.startswith("/upload/"):
            n=unquote_plus(s.headers["X-Bz-File-Name"]);sha=hashlib.sha1(body).hexdigest()
            if s.headers["X-Bz-Content-Sha1"]!=sha: return s.err(400,"bad_request","Sha1 did not match data received")
            info={k[10:].lower():unquote_plus(v) for k,v in s.headers.items() if k.lower().startswith("x-bz-info-")}
            with L:
                N[0]+=1;f=dict(fileId=f"4_z{N[0]:020d}",fileName=n,accountId=ACC,bucketId=BID,contentLength=len(body),contentSha1=sha,contentType="application/octet-stream",fileInfo=info,action="upload",uploadTimestamp=now(),data=body);keep(f)
            return s.out(200,s.meta(f))
        if s.headers.get("Authorization")!="tok": return s.err(401,"bad_auth_token","")
        q=json.loads(body or b"{}");op=p.rsplit("/",1)[1]
        with L:
            if op=="b2_list_buckets": return s.out(200,{"buckets":[{"accountId":ACC,"bucketId":BID,"bucketName":BUCKET,"bucketType":"allPrivate","bucketInfo":{},"lifecycleRules":[],"corsRules":[],"revision":1}]})
            if op=="b2_get_upload_url": return s.out(200,{"bucketId":BID,"uploadUrl":s.base()+"/upload/x","authorizationToken":"up"})
            if op=="b2_list_file_names":
                st=q.get("startFileName") or "";pre=q.get("prefix") or "";mx=q.get("maxFileCount",100)
                ns=[n for n in sorted(V) if n>=st and n.startswith(pre) and V[n][-1]["action"]=="upload"]
                return s.out(200,{"files":[s.meta(V[n][-1]) for n in ns[:mx]],"nextFileName":ns[mx] if len(ns)>mx else None})
            if op=="b2_list_file_versions":
                st=q.get("startFileName") or "";mx=q.get("maxFileCount",100);a=[f for n in sorted(V) if n>=st for f in reversed(V[n])]
                nx=a[mx] if len(a)>mx else None
                return s.out(200,{"files":[s.meta(f) for f in a[:mx]],"nextFileName":nx and nx["fileName"],"nextFileId":nx and nx["fileId"]})
            if op=="b2_get_file_info":
                for vs in V.values():
                    for f in vs:
                        if f["fileId"]==q.get("fileId"): return s.out(200,s.meta(f))
                return s.err(400 if not q.get("fileId") else 404,"bad_request" if not q.get("fileId") else "not_found","Bad fileId: "+str(q.get("fileId")))
            if op=="b2_hide_file":
                n=q["fileName"]
                if n not in V: return s.err(400,"no_such_file","File not present: "+n)
                if V[n][-1]["action"]=="hide": return s.err(400,"already_hidden","File already hidden: "+n)
                N[0]+=1;f=dict(fileId=f"4_z{N[0]:020d}",fileName=n,accountId=ACC,bucketId=BID,contentLength=0,contentSha1=None,contentType="application/x-bz-hide-marker",fileInfo={},action="hide",uploadTimestamp=now(),data=b"");keep(f)
                return s.out(200,s.meta(f))
        s.err(400,"bad_request","unknown op "+op)
ThreadingHTTPServer(("127.0.0.1",PORT),H).serve_forever()
